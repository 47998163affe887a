"""Runs scripts/nnzoo and scripts/test in a copy of the scripts, with a fake pip that installs a stand-in for nnzoo.

The interpreter, `python -m venv` and the shell are real; only downloads are replaced.
"""

import os
import shutil
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]

# Creates environments with the fake pip below; otherwise the real interpreter.
PYTHON = f"""#!/bin/sh
case "$*" in
    *ensurepip*) exit "${{FAKE_ENSUREPIP_STATUS:-0}}" ;;
    "-Im venv "*)
        '{sys.executable}' -m venv --without-pip "$3"
        for site_packages in "$3"/lib/python*/site-packages; do cp -R "$FAKE_PIP" "$site_packages/pip"; done ;;
    *) exec '{sys.executable}' "$@" ;;
esac
"""

# Logs one line per call, then does what the test wants to happen during an install.
PIP = """
import os, signal, sys
from pathlib import Path

with Path(os.environ["FAKE_LOG"]).open("a") as log:
    print(*sys.argv[1:], file=log)
assert Path("pyproject.toml").exists(), "-e . means this folder"
site_packages = Path(__file__).parents[1]
action = os.environ.get("FAKE_PIP_DOES")
if action:
    (site_packages / "half_a_package").touch()
try:
    print("pip speaking", flush=True)
    match action:
        case "fail":
            sys.exit("ERROR: no matching distribution")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill everything":
            os.killpg(0, signal.SIGKILL)
        case "wait":
            signal.alarm(30)
            Path(os.environ["FAKE_FIFO"]).read_text()
except KeyboardInterrupt:
    sys.exit("ERROR: Operation cancelled by user")  # like the real pip: no exit by signal

nnzoo = Path(sys.prefix, "bin", "nnzoo")
nnzoo.write_text('#!/bin/sh\\nprintf "[%s]" "$PWD" "$@"\\nexit "${FAKE_STATUS:-0}"\\n')
nnzoo.chmod(0o755)
for tool in ("ruff", "mypy", "sphinx", "pytest"):
    (site_packages / f"{tool}.py").write_text(
        "import os, sys\\n"
        f"print('{tool}', sys.argv[1:], flush=True)\\n"
        f"sys.exit(3 if os.environ.get('FAKE_FAILING_TOOL') == '{tool}' else 0)\\n"
    )
"""


class Checkout:
    """A copy of the scripts and a pyproject.toml, with an environment to run them in."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"  # with a space, as folders may have
        self.venv = folder / "environment"
        self.log = folder / "pip.log"
        self.bin = folder / "bin"
        self.python = self.bin / "a-python"
        shutil.copytree(ROOT / "scripts", self.root / "scripts")
        (self.root / "pyproject.toml").write_text("[project]\n")
        self.write_command(self.python, PYTHON)
        pip = folder / "pip"
        pip.mkdir()
        (pip / "__init__.py").touch()
        (pip / "__main__.py").write_text(PIP)
        self.env = {
            "PATH": os.environ["PATH"],
            "PYTHON": str(self.python),
            "NNZOO_VENV": str(self.venv),
            "FAKE_LOG": str(self.log),
            "FAKE_PIP": str(pip),
        }

    @staticmethod
    def write_command(path: Path, text: str) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def start(self, script: str, *arguments: str, cwd: Path | None = None, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.root / "scripts" / script, *arguments],
            cwd=cwd or self.root,
            env=self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that a signal to its process group does not reach pytest
            # If pytest runs in the background, SIGINT is ignored, and a child shell can't change that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(
        self, script: str, *arguments: str, cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        with self.start(script, *arguments, cwd=cwd, **env) as process:
            stdout, stderr = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    @property
    def installs(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def has_half_a_package(self) -> bool:
        return any(self.venv.glob("lib/python*/site-packages/half_a_package"))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_first_call_installs_and_the_second_only_runs(checkout: Checkout) -> None:
    first = checkout.run("nnzoo", "list")
    second = checkout.run("nnzoo", "list")

    assert first.returncode == second.returncode == 0
    assert first.stdout == second.stdout == f"[{checkout.root}][list]"  # no output of pip: --json must stay JSON
    assert "first use" in first.stderr
    assert str(checkout.venv) in first.stderr
    assert second.stderr == ""
    assert len(checkout.installs) == 1


def test_arguments_folder_and_exit_code_pass_through(checkout: Checkout, tmp_path: Path) -> None:
    arguments = ["train", "my config.yaml", "name='a b'", 'x="$HOME"', "", "*", "back\\slash", "two\nlines"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    result = checkout.run("nnzoo", *arguments, cwd=elsewhere, FAKE_STATUS="5")

    assert result.returncode == 5
    assert result.stdout == "".join(f"[{part}]" for part in (elsewhere, *arguments))


def test_the_environment_is_in_the_checkout_by_default(checkout: Checkout, tmp_path: Path) -> None:
    del checkout.env["NNZOO_VENV"]
    link = tmp_path / "nnzoo"
    link.symlink_to(checkout.root / "scripts" / "nnzoo")

    with subprocess.Popen(
        [link],
        cwd=tmp_path,
        env=checkout.env | {"VIRTUAL_ENV": sys.prefix, "PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere"},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as process:
        assert process.wait(60) == 0

    assert (checkout.root / ".venv" / "bin" / "nnzoo").exists()


def test_a_relative_nnzoo_venv_is_relative_to_the_current_folder(checkout: Checkout, tmp_path: Path) -> None:
    assert checkout.run("nnzoo", cwd=tmp_path, NNZOO_VENV="here").returncode == 0
    assert (tmp_path / "here" / "bin" / "nnzoo").exists()


def test_changed_pyproject_installs_again(checkout: Checkout) -> None:
    checkout.run("nnzoo")
    (checkout.root / "pyproject.toml").write_text("[project]\ndependencies = []\n")

    result = checkout.run("nnzoo")

    assert result.returncode == 0
    assert "updating" in result.stderr
    assert len(checkout.installs) == 2


def test_moved_checkout_installs_again(checkout: Checkout) -> None:
    checkout.run("nnzoo")
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))

    assert checkout.run("nnzoo").returncode == 0
    assert len(checkout.installs) == 2


def test_a_dev_environment_serves_both_scripts_and_stays_dev(checkout: Checkout) -> None:
    checkout.run("nnzoo")
    checkout.run("test")
    checkout.run("nnzoo")
    assert [line.split()[-1] for line in checkout.installs] == [".", ".[dev]"]

    (checkout.root / "pyproject.toml").write_text("[project]\ndependencies = []\n")
    checkout.run("nnzoo")
    checkout.run("test")
    assert [line.split()[-1] for line in checkout.installs] == [".", ".[dev]", ".[dev]"]


@pytest.mark.parametrize(("death", "status"), [("die", 1), ("kill everything", -signal.SIGKILL)])
@pytest.mark.parametrize("first", [True, False])
def test_a_killed_install_is_repeated(checkout: Checkout, death: str, status: int, first: bool) -> None:
    if not first:
        checkout.run("nnzoo")
        (checkout.root / "pyproject.toml").write_text("[project]\ndependencies = []\n")
    assert checkout.run("nnzoo", FAKE_PIP_DOES=death).returncode == status
    assert checkout.has_half_a_package()

    result = checkout.run("nnzoo")

    assert result.returncode == 0, result.stderr
    assert not checkout.has_half_a_package()
    assert checkout.run("nnzoo").stderr == ""


def test_an_install_interrupted_by_ctrl_c_is_repeated(checkout: Checkout, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with checkout.start("nnzoo", FAKE_PIP_DOES="wait", FAKE_FIFO=str(tmp_path / "fifo")) as process:
        assert process.stderr is not None
        assert any("pip speaking" in line for line in process.stderr)
        os.killpg(process.pid, signal.SIGINT)
        assert "start over" in process.stderr.read()
    assert process.returncode in (-signal.SIGINT, 128 + signal.SIGINT)  # shells differ

    assert checkout.run("nnzoo").returncode == 0
    assert not checkout.has_half_a_package()


def test_an_incomplete_environment_is_recreated(checkout: Checkout) -> None:
    checkout.run("nnzoo", FAKE_PIP_DOES="die")
    (checkout.venv / "bin" / "python").unlink()

    assert checkout.run("nnzoo").returncode == 0


def test_an_environment_without_its_python_is_recreated(checkout: Checkout) -> None:
    checkout.run("nnzoo")
    (checkout.venv / "bin" / "python").unlink()
    (checkout.venv / "bin" / "python").symlink_to("/nowhere/python3")

    result = checkout.run("nnzoo")

    assert result.returncode == 0
    assert "creating it again" in result.stderr


def test_a_pip_error_is_shown_and_the_next_call_retries(checkout: Checkout) -> None:
    failed = checkout.run("nnzoo", FAKE_PIP_DOES="fail")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "ERROR: no matching distribution" in failed.stderr
    assert "installation failed" in failed.stderr

    again = checkout.run("nnzoo")
    assert again.returncode == 0
    assert "creating" not in again.stderr  # pip cleaned up after the error, so the environment is kept


def test_two_first_calls_install_once(checkout: Checkout, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with checkout.start("nnzoo", FAKE_PIP_DOES="wait", FAKE_FIFO=str(fifo)) as one:
        assert one.stderr is not None
        assert any("pip speaking" in line for line in one.stderr)  # the first call is installing
        with fifo.open("w"):
            two = checkout.start("nnzoo")
            assert two.stderr is not None
            assert "waiting" in two.stderr.readline()
        two.communicate(timeout=60)
    assert one.returncode == two.returncode == 0
    assert len(checkout.installs) == 1


def test_a_folder_that_is_not_an_environment_is_not_changed(checkout: Checkout) -> None:
    checkout.venv.mkdir()
    (checkout.venv / "thesis.tex").touch()

    result = checkout.run("nnzoo")

    assert result.returncode == 1
    assert "NNZOO_VENV" in result.stderr
    assert (checkout.venv / "thesis.tex").exists()
    assert not checkout.installs


def test_a_users_environment_is_installed_into_and_never_deleted(checkout: Checkout) -> None:
    subprocess.run([checkout.python, "-Im", "venv", checkout.venv], env=checkout.env, check=True)
    (checkout.venv / "precious").touch()

    checkout.run("nnzoo", FAKE_PIP_DOES="die")
    result = checkout.run("nnzoo")

    assert result.returncode == 0
    assert (checkout.venv / "precious").exists()


def test_a_newer_python_is_used_if_python3_is_too_old(checkout: Checkout) -> None:
    del checkout.env["PYTHON"]
    for name in ("python3", "python3.14"):
        checkout.write_command(checkout.bin / name, "#!/bin/sh\nexit 1\n")
    checkout.write_command(checkout.bin / "python3.13", PYTHON)

    result = checkout.run("nnzoo", PATH=f"{checkout.bin}:{checkout.env['PATH']}")

    assert result.returncode == 0, result.stderr
    assert len(checkout.installs) == 1


def test_the_error_without_a_recent_python(checkout: Checkout) -> None:
    checkout.write_command(checkout.python, "#!/bin/sh\nexit 1\n")

    result = checkout.run("nnzoo")

    assert result.returncode == 1
    assert "3.11" in result.stderr
    assert "PYTHON=" in result.stderr
    assert not checkout.venv.exists()


def test_missing_venv_module_names_the_package(checkout: Checkout) -> None:
    result = checkout.run("nnzoo", FAKE_ENSUREPIP_STATUS="1")

    assert result.returncode == 1
    assert f"apt install python{sys.version_info.major}.{sys.version_info.minor}-venv" in result.stderr
    assert checkout.run("nnzoo").returncode == 0


def test_another_python_version_than_the_environment_is_refused(checkout: Checkout) -> None:
    checkout.run("nnzoo")
    checkout.write_command(checkout.python, "#!/bin/sh\necho 3.99\n")

    result = checkout.run("nnzoo")

    assert result.returncode == 1
    assert "PYTHON" in result.stderr


def test_the_test_script_runs_every_step_and_passes_arguments_to_pytest(checkout: Checkout) -> None:
    result = checkout.run("test", "-m", "not slow")

    assert result.returncode == 0
    steps = [line for line in result.stdout.splitlines() if line.startswith(("ruff", "mypy", "sphinx", "pytest"))]
    assert steps[:3] == ["ruff ['check']", "ruff ['format', '--check']", "mypy []"]
    assert steps[3].startswith("sphinx")
    assert steps[4].startswith("pytest")
    assert steps[4].endswith("'-m', 'not slow']")


def test_the_test_script_stops_at_the_first_failure_with_its_code(checkout: Checkout) -> None:
    result = checkout.run("test", FAKE_FAILING_TOOL="mypy")

    assert result.returncode == 3
    assert "mypy" in result.stdout
    assert "pytest" not in result.stdout


def test_the_wheel_contains_the_configs_and_the_license(tmp_path: Path) -> None:
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path))
    names = zipfile.ZipFile(wheel).namelist()

    assert {f"nnzoo/configs/{path.name}" for path in (ROOT / "configs").glob("*.yaml")} <= set(names)
    assert "nnzoo/configs/digits_mlp.yaml" in names
    assert "nnzoo/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "scripts/", "configs/")) for name in names)
