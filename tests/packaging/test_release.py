"""One version, said wherever it stands."""

import re
import tomllib

import yaml

from base.settings import PROJECT

VERSION = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def test_the_manifests_run_the_images_of_this_version() -> None:
    kustomization = yaml.safe_load((PROJECT / "deploy/kubernetes/kustomization.yaml").read_text("utf-8"))
    assert {image["newTag"] for image in kustomization["images"]} == {VERSION}


def test_the_changelog_and_the_upgrade_notes_begin_with_this_version_or_what_comes_after_it() -> None:
    for name in ("CHANGELOG.md", "docs/upgrading.md"):
        sections = re.findall(r"^## (\S+)", (PROJECT / name).read_text("utf-8"), re.MULTILINE)
        assert VERSION in sections[:2], name
        assert sections[0] in {VERSION, "Unreleased"}, name
