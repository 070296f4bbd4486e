"""docker-compose.yml, Dockerfile and Caddyfile, checked as far as can be without an engine."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ["prepare", "web", "worker"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
CADDYFILE = (ROOT / "deploy/Caddyfile").read_text()
# What a person has to set, and a value for each.
GIVEN = {
    "DOMAIN": "media.example.com",
    "STORAGE_DOMAIN": "files.example.com",
    "ACME_EMAIL": "it@example.com",
    "SECRET_KEY": "9e5d7ac2f04c4a5ab8d1c3f66be1f0a4c2b7d1e8f9a34c6d8b0e2f4a6c8d0e1f",
    "POSTGRES_PASSWORD": "b7c1d2e3f4",
    "MINIO_PASSWORD": "c8d2e3f4a5",
}


def instructions(name: str) -> list[tuple[str, list[str]]]:
    """`COPY` and the like in the Dockerfile: the stage that each stands in, and its words."""
    stage, found = "", []
    for line in DOCKERFILE.replace("\\\n", " ").splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stage = rest.rpartition(" AS ")[2]
        if word == name:
            found.append((stage, rest.split()))
    return found


def filled_in(value: str) -> str:
    """A value of the compose file as compose would pass it on."""

    def replace(match: re.Match[str]) -> str:
        return GIVEN.get(match["name"]) or match["default"] or ""

    return re.sub(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}", replace, value)


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


# ------------------------------------------------------------------- settings


@pytest.mark.parametrize("name", OURS)
def test_each_variable_that_is_set_is_one_that_settings_read(name: str) -> None:
    assert set(SERVICES[name]["environment"]) <= settings.ENV.names


@pytest.mark.parametrize("name", OURS)
def test_the_settings_and_all_deployment_checks_accept_the_environment(
    name: str, tmp_path: Path
) -> None:
    environment = {key: filled_in(value) for key, value in SERVICES[name]["environment"].items()}
    folders = {"DATA_DIR": str(tmp_path), "STATIC_ROOT": str(tmp_path / "static")}

    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "ENV_FILE": "", **environment, **folders},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variable_that_a_person_sets_is_documented() -> None:
    text = (ROOT / "docs/deployment.md").read_text()
    names = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "MINIO_PASSWORD"):
        assert f"${{{name}:?" in text
        assert f"${{{name}:-" not in text


# ------------------------------------------------------------------- services


def test_the_services_are_those_of_a_whole_installation() -> None:
    assert set(SERVICES) == {"prepare", "web", "worker", "postgres", "minio", "caddy"}


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_runs_as_root_or_may_gain_rights(name: str) -> None:
    service = SERVICES[name]
    assert int(service["user"].split(":")[0]) > 0
    assert service["cap_drop"] == ["ALL"]
    # Caddy's program carries its right to low ports in the file, which the option would take away.
    assert name == "caddy" or "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", SERVICES.keys() - {"prepare"})
def test_each_service_that_stays_has_a_health_check_and_comes_back(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_images_are_pinned_and_ours_carry_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for service in SERVICES.values():
        tag = service["image"].rpartition(":")[2]
        assert re.search(r"\d+\.\d+", tag), service["image"]
        assert ("build" in service) == service["image"].startswith("mediahub")
        assert "build" not in service or tag == version


def test_what_is_waited_for_can_be_waited_for() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            match how["condition"]:
                case "service_healthy":
                    assert "healthcheck" in SERVICES[other]
                case "service_completed_successfully":
                    assert SERVICES[other]["restart"] == "no"
                case condition:
                    pytest.fail(f"Unknown condition {condition}")


def test_only_caddy_is_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["caddy"]


def test_the_database_and_the_bucket_are_on_networks_without_a_way_out() -> None:
    networks = COMPOSE["networks"]
    for name in ("postgres", "minio"):
        assert all(networks[network].get("internal") for network in SERVICES[name]["networks"])


def test_caddy_reaches_the_web_server_only_from_a_trusted_address() -> None:
    common = set(SERVICES["caddy"]["networks"]) & set(SERVICES["web"]["networks"])
    assert common == {"door"}
    subnet = COMPOSE["networks"]["door"]["ipam"]["config"][0]["subnet"]
    assert ip_network(subnet) == ip_network(SERVICES["web"]["environment"]["TRUSTED_PROXIES"])


def test_each_volume_and_network_is_declared_and_used() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    assert used == set(COMPOSE["volumes"])
    joined = {network for service in SERVICES.values() for network in service["networks"]}
    assert joined == set(COMPOSE["networks"])


def test_a_stop_leaves_time_for_what_runs() -> None:
    for name in ("web", "worker"):
        assert seconds(SERVICES[name]["stop_grace_period"]) > settings.STOP_GRACE_S


@pytest.mark.parametrize("name", OURS)
def test_commands_and_health_checks_exist(name: str) -> None:
    service = SERVICES[name]
    for words in (service["command"], service.get("healthcheck", {}).get("test", [])[1:]):
        match words:
            case ["python", "manage.py", command]:
                assert command in get_commands()
            case ["python", "-m", module]:
                assert find_spec(module)
            case ["gunicorn", "--config", config, application]:
                assert find_spec(config.removeprefix("python:"))
                assert find_spec(application)
            case []:
                assert name == "prepare"
            case _:
                pytest.fail(f"Unknown command {words}")


# ------------------------------------------------------------------- images


def test_base_images_are_pinned_and_each_target_is_a_stage() -> None:
    stages = [stage for stage, _ in instructions("FROM")]
    for _, words in instructions("FROM"):
        assert re.search(r":.*\d+[.-]\d+", words[0]), words[0]
        assert "latest" not in words[0]
    targets = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert targets <= set(stages)
    assert stages[-1] == "mediahub"


def test_what_is_copied_exists_and_reaches_the_build() -> None:
    let_through = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for stage, words in instructions("COPY"):
        assert stage
        if words[0].startswith("--from="):
            continue
        for source in words[:-1]:
            assert source.rstrip("/") in let_through
            assert (ROOT / source).exists()


def test_the_image_holds_every_package_of_ours() -> None:
    copied = {words[0] for stage, words in instructions("COPY") if stage == "mediahub"}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert packages | {"templates", "static", "manage.py"} <= copied


def test_each_image_that_runs_ends_as_somebody_who_is_not_root() -> None:
    last = {stage: words[0] for stage, words in instructions("USER")}
    for service in SERVICES.values():
        if "build" in service:
            assert last[service["build"]["target"]] == service["user"]


def test_folders_of_volumes_belong_to_the_one_who_writes_them() -> None:
    """A new volume takes the owner of the folder in the image."""
    owned = {
        stage: words for stage, words in instructions("COPY") if "--chown=10001:10001" in words
    }
    made = shlex.split(DOCKERFILE.split("mkdir -p ")[1].split("\n\n")[0].replace("\\\n", ""))
    for name in ("web", "minio", "caddy"):
        target = SERVICES[name]["build"]["target"]
        folder = SERVICES[name]["volumes"][0].split(":")[1]
        assert f"/volumes/{target}{folder}" in made
        assert owned[target][-2:] == [f"/volumes/{target}/var/lib/", "/var/lib/"]


def test_the_lock_of_the_image_is_one_of_the_locks() -> None:
    ((_, words),) = instructions("ARG")
    assert (ROOT / "locks" / f"{words[0].partition('=')[2]}.txt").exists()
    default = SERVICES["web"]["build"]["args"]["LOCK"]
    assert (ROOT / "locks" / f"{filled_in(default)}.txt").exists()


# ------------------------------------------------------------------- Caddy


def test_caddy_is_given_every_variable_that_its_file_asks_for() -> None:
    asked = set(re.findall(r"\{\$(\w+)", CADDYFILE))
    assert asked == set(SERVICES["caddy"]["environment"])


def test_caddy_passes_requests_to_services_that_it_reaches() -> None:
    upstreams = dict(re.findall(r"reverse_proxy (\w+):(\d+)", CADDYFILE))
    assert upstreams == {"web": SERVICES["web"]["environment"]["PORT"], "minio": "9000"}
    for name in upstreams:
        assert set(SERVICES[name]["networks"]) & set(SERVICES["caddy"]["networks"])


def test_caddy_lets_the_largest_upload_through() -> None:
    (limit,) = re.findall(r"MAX_BODY:-(\d+)MB", SERVICES["caddy"]["environment"]["MAX_BODY"])
    largest = max(
        settings.MAX_IMAGE_MB,
        settings.MAX_AUDIO_MB,
        settings.MAX_VIDEO_MB,
        settings.MAX_DOCUMENT_MB,
    )
    assert int(limit) > largest


def test_the_bucket_is_reached_by_the_name_that_browsers_use() -> None:
    assert SERVICES["caddy"]["networks"]["door"]["aliases"] == ["${STORAGE_DOMAIN}"]
    for name in ("web", "worker"):
        environment = SERVICES[name]["environment"]
        assert filled_in(environment["S3_ENDPOINT_URL"]) == "https://files.example.com"
        assert "door" in SERVICES[name]["networks"]
