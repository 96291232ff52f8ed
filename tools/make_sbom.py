"""Writes a bill of materials (CycloneDX 1.6, JSON) of an image: its Python parts and its Debian packages.

    python tools/make_sbom.py PYTHON DPKG_STATUS OUT       inside the image's build, with requirements-sbom.lock

PYTHON is the interpreter of the gateway's environment; cyclonedx-py reads there which distributions are installed,
with their licences. DPKG_STATUS is /var/lib/dpkg/status of the base. The result is judged by CycloneDX's own schema
before it is written; a fault ends the build.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL


def main(python: str, status: str, out: str) -> None:
    """Write the bill. Raises SystemExit where it does not fit its schema."""
    bom = python_parts(python)
    for component in debian_parts(Path(status).read_text(encoding="utf-8")):
        bom.components.add(component)
    text = JsonV1Dot6(bom).output_as_string(indent=1)
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        raise SystemExit(f"the bill of materials does not fit its schema: {fault}")
    Path(out).write_text(text + "\n", encoding="utf-8")


def python_parts(python: str) -> Bom:
    """The distributions of an environment, as cyclonedx-py finds them."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--spec-version", "1.6", python]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    bom: Bom = Bom.from_json(json.loads(found.stdout))
    return bom


def debian_parts(status: str) -> Iterable[Component]:
    """Every package that dpkg says is installed."""
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            place = {"arch": fields["Architecture"], "distro": "debian"}
            purl = PackageURL("deb", "debian", name, version, place)
            yield Component(name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
