"""Every page of the staff site opens, with a bounded number of queries, whatever a row holds."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from media_assets.models import Role
from tests import media
from tests.make import make_asset, make_post, make_space

pytestmark = pytest.mark.django_db

XSS = "<script>alert(1)</script>"
MOST_QUERIES = 12

models = sorted(admin.site._registry, key=lambda model: model._meta.label)


@pytest.fixture
def chief(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("chief"))
    return client


def opened(client: Client, url: str) -> Any:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = client.get(url)
    assert response.status_code == 200, url
    assert len(queries) <= MOST_QUERIES, [each["sql"] for each in queries]
    return response


@pytest.mark.parametrize("model", models, ids=lambda model: model._meta.label)
def test_each_list_opens(chief: Client, model: Any) -> None:
    opened(chief, reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))


def test_a_list_costs_the_same_however_long(chief: Client) -> None:
    space = make_space(alice=Role.MANAGER)
    url = reverse("admin:media_assets_mediaasset_changelist")
    chief.get(url)  # the first visit of a client is written down
    counts = []
    for number in range(2):
        for each in range(4):
            make_asset(media.jpeg(seed=10 * number + each), space=space)
        with CaptureQueriesContext(connection) as queries:
            chief.get(url)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_what_strangers_wrote_is_escaped(chief: Client) -> None:
    space = make_space()
    post = make_post(space, text=XSS, author=XSS, source="x", external_id=XSS)
    asset = make_asset(space=space, post=post, title=XSS, alt_text=XSS, filename=f"{XSS}.jpg")
    for url in (
        reverse("admin:media_assets_mediaasset_changelist"),
        reverse("admin:media_assets_mediaasset_change", args=[asset.pk]),
        reverse("admin:media_assets_post_change", args=[post.pk]),
        reverse("admin:processing_job_change", args=[asset.jobs.get().pk]),
    ):
        assert XSS not in opened(chief, url).content.decode()


def test_nobody_makes_or_deletes_assets_by_hand(chief: Client) -> None:
    asset = make_asset()
    assert chief.get(reverse("admin:media_assets_mediaasset_add")).status_code == 403
    url = reverse("admin:media_assets_mediaasset_delete", args=[asset.pk])
    assert chief.post(url, {"post": "yes"}).status_code == 403
    asset.refresh_from_db()
