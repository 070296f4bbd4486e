"""Assets over HTTP: what comes in, what is shown, who may do what, and what refusals leave behind."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from media_assets import storage
from media_assets.models import AccessLog, Blob, MediaAsset, Role, Space, Status
from processing.models import Job, JobStatus
from tests import media
from tests.make import make_asset, make_post, make_space, make_user

pytestmark = pytest.mark.django_db

URL = "/api/v1/assets/"


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture(autouse=True)
def isolated(settings: Any) -> None:
    """Nobody is let into a space that everybody shares."""
    settings.DEFAULT_ROLE = "none"


@pytest.fixture
def space() -> Space:
    return make_space(
        alice=Role.CONTRIBUTOR, vera=Role.VIEWER, rita=Role.REVIEWER, max=Role.MANAGER
    )


@pytest.fixture
def alice(space: Space) -> APIClient:
    return client_of(User.objects.get(username="alice"))


def named(name: str) -> APIClient:
    return client_of(User.objects.get(username=name))


@pytest.fixture
def charlie() -> APIClient:
    """Somebody with a space of their own, who must see nothing of the others'."""
    make_space("Elsewhere", charlie=Role.MANAGER)
    return named("charlie")


def upload(client: APIClient, data: bytes | None = None, name: str = "a.jpg", **fields: Any) -> Any:
    content = media.jpeg() if data is None else data
    return client.post(
        URL, {"file": SimpleUploadedFile(name, content), **fields}, format="multipart"
    )


def test_an_uploaded_file_is_an_asset_with_a_job(alice: APIClient, space: Space) -> None:
    response = upload(
        alice, title="A picture", tags="red, car", alt_text="A car", prompt="What is it?"
    )
    body = response.json()
    assert response.status_code == 201, body
    assert response["Location"].endswith(f"{URL}{body['id']}/")
    assert UUID(body["id"]).version == 7
    assert body["space"] == str(space.pk)
    assert body["kind"] == "image"
    assert body["mime_type"] == "image/jpeg"
    assert body["filename"] == "a.jpg"
    assert body["title"] == "A picture"
    assert sorted(body["tags"]) == ["car", "red"]
    assert body["size"] == len(media.jpeg())
    assert body["status"] == "not_started"
    assert body["jobs"][0]["status"] == "pending"
    assert body["jobs"][0]["params"] == {"prompt": "What is it?"}


def test_the_same_bytes_again_answer_200_with_the_asset_there(alice: APIClient) -> None:
    first, second = upload(alice), upload(alice, name="again.jpg")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]


def test_a_post_of_the_space_is_taken_and_another_s_is_not_found(
    alice: APIClient, space: Space, charlie: APIClient
) -> None:
    mine, foreign = make_post(space), make_post(Space.objects.get(name="Elsewhere"))
    assert upload(alice, post=str(mine.pk)).json()["post"] == str(mine.pk)
    assert upload(alice, post=str(foreign.pk)).status_code == 404
    assert upload(alice, post=str(uuid4())).status_code == 404
    assert MediaAsset.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "data", "status", "code"),
    [
        ("a.jpg", b"", 400, "EMPTY_FILE"),
        ("a.html", media.html(), 415, "INVALID_FILE_FORMAT"),
        ("a.svg", media.svg(), 415, "INVALID_FILE_FORMAT"),
        ("a.png", media.svg(), 415, "INVALID_FILE_FORMAT"),
    ],
)
def test_a_bad_file_is_refused_and_leaves_nothing(
    alice: APIClient, name: str, data: bytes, status: int, code: str
) -> None:
    response = upload(alice, data, name)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert not Blob.objects.exists()
    assert not MediaAsset.objects.exists()


def test_a_refused_type_tells_what_came_and_what_is_accepted(alice: APIClient) -> None:
    details = upload(alice, media.html(), "a.jpg").json()["error"]["details"]
    assert details["received_format"] == "html"
    assert "jpg" in details["supported_formats"]["image"]


def test_a_request_without_a_file_or_with_two_is_refused(alice: APIClient) -> None:
    none = alice.post(URL, {"title": "x"}, format="multipart")
    two = alice.post(
        URL,
        {
            "file": [
                SimpleUploadedFile("a.jpg", media.jpeg()),
                SimpleUploadedFile("b.png", media.png()),
            ]
        },
        format="multipart",
    )
    assert (none.status_code, two.status_code) == (400, 400)
    assert none.json()["error"]["details"]["file"]
    assert not MediaAsset.objects.exists()


def test_a_body_that_ends_early_is_refused(alice: APIClient) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        + media.jpeg()
    )
    response = alice.generic("POST", URL, body, content_type="multipart/form-data; boundary=x")
    assert response.status_code == 400
    assert not MediaAsset.objects.exists()


def test_fields_that_are_ours_cannot_be_sent(alice: APIClient) -> None:
    body = upload(alice, owner="99", status="completed", sha256="0" * 64, size="1").json()
    assert body["status"] == "not_started"
    assert body["size"] == len(media.jpeg())
    assert MediaAsset.objects.get().owner == User.objects.get(username="alice")


@pytest.mark.parametrize("fields", [{"steps": "nonsense"}, {"language": "<x>"}, {"lexicon": "1"}])
def test_a_wish_nobody_understands_keeps_nothing(alice: APIClient, fields: dict[str, str]) -> None:
    response = upload(alice, **fields)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "VALIDATION_ERROR"
    assert not MediaAsset.objects.exists()


def test_a_viewer_may_not_upload_and_a_stranger_finds_no_space(
    space: Space, charlie: APIClient
) -> None:
    assert upload(named("vera"), space=str(space.pk)).status_code == 403
    assert upload(charlie, space=str(space.pk)).status_code == 404
    assert upload(APIClient()).status_code == 401
    assert not MediaAsset.objects.exists()


def test_members_see_an_asset_and_others_do_not_find_it(
    alice: APIClient, charlie: APIClient
) -> None:
    url = f"{URL}{upload(alice).json()['id']}/"
    assert alice.get(url).status_code == named("vera").get(url).status_code == 200
    for each in (url, f"{url}log/", f"{url}jobs/", f"{url}renditions/", f"{url}download/"):
        assert charlie.get(each).status_code == 404
    assert charlie.patch(url, {"title": "mine"}, format="json").status_code == 404
    assert charlie.delete(url).status_code == 404
    assert charlie.get(URL).json()["results"] == []
    assert len(alice.get(URL).json()["results"]) == 1


def test_staff_go_by_their_permissions(alice: APIClient) -> None:
    url = f"{URL}{upload(alice).json()['id']}/"
    clerk = make_user("clerk", is_staff=True)
    assert client_of(clerk).get(url).status_code == 404
    clerk.user_permissions.add(Permission.objects.get(codename="view_mediaasset"))
    clerk = User.objects.get(pk=clerk.pk)
    assert client_of(clerk).get(url).status_code == 200
    assert client_of(clerk).patch(url, {"title": "x"}, format="json").status_code == 403


def test_the_list_is_filtered(alice: APIClient, space: Space) -> None:
    picture = upload(alice, tags="red").json()["id"]
    text = upload(alice, media.plain(), "a.txt").json()["id"]
    MediaAsset.objects.filter(pk=text).update(status=Status.FAILED)

    def ids(**query: str) -> set[str]:
        return {each["id"] for each in alice.get(URL, query).json()["results"]}

    assert ids() == {picture, text}
    assert ids(kind="image") == {picture}
    assert ids(status="failed") == {text}
    assert ids(tag="red") == {picture}
    assert ids(mime_type="text/plain") == {text}
    assert ids(created_after="2100-01-01T00:00:00Z") == set()
    assert ids(space=str(space.pk)) == {picture, text}
    assert alice.get(URL, {"owner__password__startswith": "x"}).status_code == 400
    assert alice.get(URL, {"kind": "nonsense"}).status_code == 400


def test_a_list_costs_the_same_number_of_queries_however_long(
    alice: APIClient, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        upload(alice, media.jpeg(seed=number), f"{number}.jpg", tags="x,y")
    with django_assert_max_num_queries(8):
        assert len(alice.get(URL).json()["results"]) == 12


def test_people_change_what_is_theirs(alice: APIClient) -> None:
    url = f"{URL}{upload(alice).json()['id']}/"
    body = alice.patch(
        url, {"title": "New", "tags": ["one"], "local_only": True}, format="json"
    ).json()
    assert (body["title"], body["tags"], body["local_only"]) == ("New", ["one"], True)
    assert alice.patch(url, {"review": "approved"}, format="json").status_code == 403
    assert named("vera").patch(url, {"title": "No"}, format="json").status_code == 403
    approved = named("rita").patch(url, {"review": "approved"}, format="json")
    assert approved.json()["review"] == "approved"
    asset = MediaAsset.objects.get()
    assert asset.reviewed_by == User.objects.get(username="rita")
    assert asset.title == "New"
    assert [entry["event"] for entry in asset.analysis_log].count("asset_changed") == 2


def test_the_trash_hides_cancels_and_gives_back(alice: APIClient) -> None:
    url = f"{URL}{upload(alice).json()['id']}/"
    assert alice.delete(url).status_code == 204
    assert alice.get(url).status_code == 404
    assert alice.get(URL).json()["results"] == []
    assert Job.objects.get().status == JobStatus.CANCELLED
    assert alice.post(f"{url}restore/").status_code == 200
    assert alice.get(url).status_code == 200
    assert alice.post(f"{url}restore/").status_code == 409


def test_what_was_uploaded_again_meanwhile_cannot_be_restored(alice: APIClient) -> None:
    url = f"{URL}{upload(alice).json()['id']}/"
    alice.delete(url)
    assert upload(alice).status_code == 201
    assert alice.post(f"{url}restore/").status_code == 409


def test_a_manager_purges_bytes_that_nobody_else_has(alice: APIClient, charlie: APIClient) -> None:
    url = f"{URL}{upload(alice).json()['id']}/"
    upload(charlie)
    assert alice.delete(f"{url}?purge=1").status_code == 403
    assert named("max").delete(f"{url}?purge=1").status_code == 204
    assert Blob.objects.count() == 1
    blob = Blob.objects.get()
    charlies = charlie.get(URL).json()["results"][0]["id"]
    assert charlie.delete(f"{URL}{charlies}/?purge=1").status_code == 204
    assert not Blob.objects.exists()
    assert not storage.exists(blob.key)


def test_a_download_is_a_redirect_that_is_written_down(alice: APIClient) -> None:
    body = upload(alice, name="größe.jpg").json()
    response = alice.get(f"{URL}{body['id']}/download/")
    assert response.status_code == 302
    served = APIClient().get(response["Location"])
    assert b"".join(served) == media.jpeg()
    assert served["Content-Type"] == "image/jpeg"
    assert served["Content-Disposition"].startswith("attachment;")
    assert served["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in served["Content-Security-Policy"]
    read = AccessLog.objects.get()
    assert (read.username, str(read.asset_id), read.door) == ("alice", body["id"], "api")


def test_a_job_is_asked_for_and_refused(alice: APIClient, charlie: APIClient) -> None:
    url = f"{URL}{upload(alice).json()['id']}/jobs/"
    asked = alice.post(
        url, {"steps": ["inspect"], "priority": "bulk", "force": True}, format="json"
    )
    assert asked.status_code == 202
    assert asked["Location"].endswith(f"/api/v1/jobs/{asked.json()['id']}/")
    assert asked.json()["priority"] == "bulk"
    before = Job.objects.count()
    assert alice.post(url, {"steps": ["nonsense"]}, format="json").status_code == 400
    assert alice.post(url, {"priority": "now"}, format="json").status_code == 400
    assert charlie.post(url, {}, format="json").status_code == 404
    assert named("vera").post(url, {}, format="json").status_code == 403
    assert Job.objects.count() == before


def test_a_job_is_shown_cancelled_and_retried(alice: APIClient, charlie: APIClient) -> None:
    upload(alice)
    job = alice.get("/api/v1/jobs/").json()["results"][0]
    url = f"/api/v1/jobs/{job['id']}/"
    assert alice.get(url).json()["results"]["analyses"] == []
    assert charlie.get(url).status_code == 404
    assert charlie.post(f"{url}cancel/").status_code == 404
    assert charlie.get("/api/v1/jobs/").json()["results"] == []
    cancelled = alice.post(f"{url}cancel/").json()
    assert (cancelled["status"], cancelled["error"]["code"]) == ("cancelled", "CANCELLED")
    assert alice.post(f"{url}cancel/").status_code == 409
    assert alice.post(f"{url}retry/").json()["status"] == "pending"
    assert named("vera").post(f"{url}cancel/").status_code == 403


def test_the_jobs_of_an_asset_in_the_trash_are_not_shown(alice: APIClient) -> None:
    asset = upload(alice).json()["id"]
    job = alice.get("/api/v1/jobs/").json()["results"][0]["id"]
    alice.delete(f"{URL}{asset}/")
    assert alice.get(f"/api/v1/jobs/{job}/").status_code == 404
    assert alice.get("/api/v1/jobs/").json()["results"] == []


def test_a_page_size_out_of_all_bounds_is_no_error_of_ours(alice: APIClient) -> None:
    make_asset()
    for size in ("1000000000", "9" * 400, "-1", "NaN"):
        assert alice.get(URL, {"page_size": size}).status_code in (200, 400)
