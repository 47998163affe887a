"""Images: datasets of torchvision, and your own folders."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from nnzoo.config.base import Count, Items
from nnzoo.config.data.base import FilePath, Files, Source
from nnzoo.config.facts import Facts
from nnzoo.config.suggest import did_you_mean

DIGITS = tuple("0123456789")
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""


def _to_name(value: object) -> object:
    """Converts a class name that YAML reads as an integer back to text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_different(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"expected two or more different classes, got {', '.join(names) or 'none'}")
    return names


ClassName = Annotated[
    str, Field(min_length=1), BeforeValidator(_to_name), WithJsonSchema({"type": ["string", "integer"]})
]


class TorchvisionSet(Source):
    """Base class of the image datasets of torchvision, with their official test split."""

    name: str

    class_names: ClassVar[tuple[str, ...]]
    shape: ClassVar[tuple[int, int, int]]

    root: FilePath | None = Field(
        None,
        description="folder of the files, or the `root` folder of torchvision; null: the folder in the environment "
        "variable NNZOO_DATA, or ./data",
    )
    download: bool = Field(True, description="download missing files with torchvision, which checks their checksums")
    classes: Annotated[Items[ClassName], AfterValidator(_check_different)] | None = Field(
        None,
        description="the classes to use, by name, in the order of their indices; two classes give a binary task; "
        "null: all",
    )
    limit: Count | None = Field(None, description="use only the first N samples of each split")

    @model_validator(mode="after")
    def _check_classes(self) -> TorchvisionSet:
        for name in self.classes or ():
            if name not in self.class_names:
                shown = f"{', '.join(self.class_names[:10])}{', ...' if len(self.class_names) > 10 else ''}"
                raise ValueError(
                    f"'{name}' is not a class of {self.name}.{did_you_mean(name, self.class_names)} ({shown})"
                )
        return self

    def facts(self) -> Facts:
        classes = len(self.classes or self.class_names)
        has_val = self.split.val > 0
        return Facts("classification", "image", classes, 0, self.shape, has_val=has_val, has_test=True, pixels=True)


class Mnist(TorchvisionSet):
    """70,000 handwritten digits of 28x28 grayscale pixels, 10,000 of them in the test split (LeCun et al. 1998)."""

    class_names = DIGITS
    shape = (1, 28, 28)

    name: Literal["mnist"]


class FashionMnist(TorchvisionSet):
    """70,000 grayscale images of clothes, 28x28 pixels, 10,000 of them in the test split (Xiao et al. 2017)."""

    class_names = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    shape = (1, 28, 28)

    name: Literal["fashion_mnist"]


class Kmnist(TorchvisionSet):
    """70,000 cursive Japanese characters of 28x28 grayscale pixels, 10,000 in the test split (Clanuwat et al. 2018)."""

    class_names = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    shape = (1, 28, 28)

    name: Literal["kmnist"]


class Cifar10(TorchvisionSet):
    """60,000 color photographs of 32x32 pixels, 10,000 of them in the test split (Krizhevsky 2009)."""

    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    shape = (3, 32, 32)

    name: Literal["cifar10"]


class Cifar100(TorchvisionSet):
    """60,000 color photographs of 100 classes, 32x32 pixels, 10,000 of them in the test split (Krizhevsky 2009)."""

    class_names = tuple(_CIFAR100.split())
    shape = (3, 32, 32)

    name: Literal["cifar100"]


class Svhn(TorchvisionSet):
    """99,289 color photographs of house numbers, 32x32 pixels, 26,032 in the test split (Netzer et al. 2011)."""

    class_names = DIGITS
    shape = (3, 32, 32)

    name: Literal["svhn"]


Side = Annotated[Count, Field(le=10_000)]


class ImageFolder(Files):
    """Your own images, with one folder per class. Folders named train, val and test are the splits.

    Each image is decoded once, resized to `size` without keeping its aspect ratio, and stored as uint8. Networks get
    values in [0, 1] before `normalize`. Only the first frame is used. It is rotated according to its EXIF data, and its
    transparent pixels become white.
    """

    name: Literal["image_folder"]
    path: FilePath = Field(
        description="folder of class folders, or of train, val and test; or a glob pattern that matches class folders"
    )
    limit: Count | None = Field(None, description="use at most N samples per split, balanced over the classes")
    size: Literal["auto"] | Side | Items[Side] = Field(
        "auto",
        description="size in pixels: one number for a square, or [height, width]; auto: the most frequent size up to "
        "256 x 256, else a square of 32, 64 or 128",
    )
    channels: Literal["auto", 1, 3] = Field(
        "auto", description="1: grayscale; 3: color; auto: 1 if all images are grayscale"
    )
    cache: Literal["auto", "memory", "disk"] = Field(
        "auto",
        description="where decoded images are stored: in memory, or on disk in a file under ~/.cache/nnzoo, from which "
        "batches are read in the background; auto: on disk from 4 GiB",
    )
    strict: bool = Field(
        False, description="raise an error for a file that can't be decoded; false: skip it with a warning"
    )

    def facts(self) -> Facts:
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        shape = (self.channels, *size) if isinstance(size, tuple) and isinstance(self.channels, int) else None
        return Facts(
            "classification",
            "image",
            None,
            0,
            shape,
            has_val=True if self.val_path or self.split.val > 0 else None,
            has_test=True if self.test_path or self.split.test > 0 else None,
            pixels=True,
        )
