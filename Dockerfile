# An image with PyTorch for the CPU, about 1.5 GB:
#   docker build -t nnzoo .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" nnzoo train digits_mlp
FROM python:3.13-slim

# torch and torchvision must both come from this index: a torchvision from PyPI does not fit a torch for the CPU.
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu "torch>=2.10" "torchvision>=0.25"

COPY pyproject.toml README.md LICENSE /src/
COPY nnzoo /src/nnzoo
COPY configs /src/configs
COPY docs/ideas.md docs/results.json /src/docs/
RUN pip install --no-cache-dir /src && rm -r /src

# Any user may run the image, so that files in the mounted folder belong to that user.
ENV HOME=/tmp PYTHONUNBUFFERED=1
WORKDIR /work
ENTRYPOINT ["nnzoo"]
CMD ["--help"]
