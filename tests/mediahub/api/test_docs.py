"""The API describes itself, and the pages that show it load nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from playwright.sync_api import Page, expect

from mediahub.api import docs
from mediahub.api.schema import HouseSchema
from tests.browser import Watch
from tests.servers import Server


def schema() -> dict[str, Any]:
    return dict(SchemaGenerator().get_schema(request=None, public=True))


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in schema()["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_schema_is_openapi_3_1_and_valid() -> None:
    document = schema()
    assert document["openapi"].startswith("3.1")
    validate_schema(document)


def test_the_schema_is_made_without_a_warning(tmp_path: Path) -> None:
    GENERATOR_STATS.reset()
    call_command("spectacular", file=str(tmp_path / "schema.yml"), fail_on_warn=True, validate=True)


def test_every_operation_lists_its_refusals_in_the_one_shape() -> None:
    document = schema()
    for path, method, operation in operations():
        refusals = {
            status: response
            for status, response in operation["responses"].items()
            if status >= "400"
        }
        assert {"429", "500", "503"} <= set(refusals), f"{method} {path}"
        if "{" in path:
            assert "404" in refusals, f"{method} {path}"
        for response in refusals.values():
            name = response["$ref"].rpartition("/")[2]
            content = document["components"]["responses"][name]["content"]
            assert content["application/json"]["schema"] == {
                "$ref": "#/components/schemas/ErrorEnvelope"
            }


def test_an_operation_for_signed_in_people_lists_401_and_403_and_how_to_sign_in() -> None:
    for path, method, operation in operations():
        if path.startswith("/api/v1/auth/"):
            assert operation["security"] == [{}], path
        else:
            assert {"401", "403"} <= set(operation["responses"]), f"{method} {path}"
            assert operation["security"] == [{"apiKey": []}, {"bearer": []}, {"session": []}]


def test_a_post_names_the_idempotency_key() -> None:
    named = {
        path
        for path, method, operation in operations()
        if method == "post"
        and any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", ()))
    }
    posts = {path for path, method, _ in operations() if method == "post"}
    assert named == {path for path in posts if not path.startswith("/api/v1/auth/")}


def test_every_view_of_the_api_is_described_by_our_schema() -> None:
    def views(entries: list[Any]) -> list[Any]:
        found = []
        for entry in entries:
            if isinstance(entry, URLResolver):
                found += views(entry.url_patterns)
            elif isinstance(entry, URLPattern) and hasattr(entry.callback, "cls"):
                found.append(entry.callback.cls)
        return found

    ours = [each for each in views(get_resolver().url_patterns) if each is not docs.SchemaView]
    assert ours
    for view in ours:
        assert isinstance(view.schema, HouseSchema), view


def test_the_schema_is_open_to_everybody_and_comes_as_json_or_yaml(client: Client) -> None:
    as_yaml = client.get("/api/schema/")
    assert as_yaml.status_code == 200
    assert as_yaml["Content-Type"].startswith("application/vnd.oai.openapi")
    as_json = client.get("/api/schema/", headers={"Accept": "application/json"})
    assert as_json.json()["info"]["title"] == "MediaHub"


def test_the_bundle_still_names_the_logo_that_is_taken_out() -> None:
    found = finders.find(docs._REDOC)
    assert isinstance(found, str)
    assert docs._FOREIGN_LOGO in Path(found).read_text()


def test_redoc_comes_without_the_foreign_logo(client: Client) -> None:
    response = client.get("/api/redoc/redoc.js")
    assert response.status_code == 200
    assert docs._FOREIGN_LOGO not in response.content.decode()
    assert "immutable" in response["Cache-Control"]


@pytest.mark.parametrize("path", ["/api/docs/", "/api/redoc/"])
def test_a_page_has_no_inline_script_and_a_policy_that_allows_none(
    client: Client, path: str
) -> None:
    response = client.get(path)
    html = response.content.decode()
    assert html.count("<script") == html.count('<script src="/')
    assert "<style" not in html
    assert "style=" not in html
    policy = response["Content-Security-Policy"]
    assert "script-src 'self';" in policy + ";"
    assert "unsafe" not in policy


def test_only_redoc_may_use_more_than_the_site_s_policy(client: Client) -> None:
    site = client.get("/api/v1/config/")["Content-Security-Policy"]
    assert client.get("/api/docs/")["Content-Security-Policy"] == site
    redoc = client.get("/api/redoc/")["Content-Security-Policy"]
    assert docs._REDOC_STYLES in redoc
    assert "worker-src blob:" in redoc


def test_swagger_shows_the_operations(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/api/docs/")
    expect(page.get_by_text("/api/v1/spaces/", exact=True).first).to_be_visible(timeout=30_000)
    assert page.locator(".opblock").count() == len(operations())
    page.get_by_text("/api/v1/config/", exact=True).click()
    expect(page.get_by_text("What is switched on").first).to_be_visible()


def test_redoc_shows_the_operations_and_finds_them(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/api/redoc/")
    expect(page.get_by_role("heading", name="MediaHub")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("/api/v1/spaces/").first).to_be_attached()
    page.get_by_role("textbox").first.fill("revoke")
    expect(page.locator("[role=search] [role=menuitem]").first).to_be_visible(timeout=30_000)


def test_what_swagger_sends_with_a_session_carries_the_csrf_token(
    page: Page, watch: Watch, server: Server
) -> None:
    watch.allow_console("status of 401")  # nobody is signed in
    page.goto(f"{server.url}/api/docs/")
    expect(page.locator(".opblock").first).to_be_visible(timeout=30_000)
    token = page.locator("#api-docs").get_attribute("data-csrf")
    assert token
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.get_by_text("/api/v1/spaces/", exact=True).last.click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute").click()
    assert sent.value.header_value("x-csrftoken") == token
    expect(page.locator(".live-responses-table")).to_contain_text("NOT_AUTHENTICATED")
