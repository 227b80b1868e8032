import time

import openai
import pytest

from ftspec.server import bodies, files
from ftspec.server.records import Records
from ftspec.storage import read_json, write_json


def test_a_file_comes_back_as_it_went(play):
    async def scenario(s):
        for content in (b"x", b"\xef\xbb\xbf{}\r\n\x00\xff", b"a" * 3_000_000):
            file = await s.client.files.create(file=("name ü.jsonl", content), purpose="fine-tune")
            assert (file.bytes, file.filename, file.status) == (len(content), "name ü.jsonl", "processed")
            assert (await s.client.files.content(file.id)).content == content
            raw = (await s.http.get(f"files/{file.id}")).json()
            assert "expires_at" not in raw
            assert "status_details" not in raw
            assert await s.client.files.wait_for_processing(file.id)
            assert (await s.client.files.delete(file.id)).deleted
            assert not (s.state / "files" / file.id).exists()
            for call in (s.client.files.retrieve, s.client.files.content, s.client.files.delete):
                with pytest.raises(openai.NotFoundError):
                    await call(file.id)

    play(scenario)


def test_a_file_in_use_is_kept_until_the_job_is_over(play, helpers):
    async def scenario(s):
        file = await helpers.upload(s)
        job = await s.client.fine_tuning.jobs.create(model="tiny", training_file=file)
        with pytest.raises(openai.ConflictError) as caught:
            await s.client.files.delete(file)
        assert caught.value.code == "file_in_use"
        await helpers.until(s, job.id)
        assert (await s.client.files.delete(file)).deleted
        done = await s.client.fine_tuning.jobs.retrieve(job.id)
        assert done.training_file == file
        for result in done.result_files:
            assert (await s.client.files.delete(result)).deleted
            with pytest.raises(openai.NotFoundError):
                await s.client.files.content(result)
        assert (await s.client.files.list()).data == []
        assert (await s.client.models.retrieve(done.fine_tuned_model)).id == done.fine_tuned_model

    play(scenario, seconds=0.3)


def test_expiry(play, monkeypatch):
    async def scenario(s):
        after = {"anchor": "created_at", "seconds": 3600}
        file = await s.client.files.create(file=("a", b"x"), purpose="fine-tune", expires_after=after)
        assert file.expires_at == file.created_at + 3600
        for seconds in (3599, 2_592_001):
            with pytest.raises(openai.BadRequestError):
                await s.client.files.create(
                    file=("a", b"x"), purpose="fine-tune", expires_after={**after, "seconds": seconds}
                )
        now = time.time()
        monkeypatch.setattr(files.time, "time", lambda: now + 3700)
        with pytest.raises(openai.NotFoundError):
            await s.client.files.retrieve(file.id)
        assert (await s.client.files.list()).data == []

    play(scenario)


def test_uploads_are_checked(play, monkeypatch):
    monkeypatch.setattr(bodies, "JSON_BYTES", 1000)
    monkeypatch.setattr(files, "UPLOAD_BYTES", 5000)

    async def scenario(s):
        async def refused(status, param, **request):
            answer = await s.http.post("files", **request)
            error = answer.json()["error"]
            assert (answer.status_code, error["param"]) == (status, param), answer.text

        part = {"file": ("a.jsonl", b"x")}
        await refused(400, "file", json={"purpose": "fine-tune"})
        await refused(400, "file", data={"purpose": "fine-tune"})
        await refused(400, "purpose", files=part)
        await refused(400, "purpose", files=part, data={"purpose": "assistants"})
        await refused(400, "extra", files=part, data={"purpose": "fine-tune", "extra": "1"})
        await refused(400, "file", files={"file": ("a.jsonl", b"")}, data={"purpose": "fine-tune"})
        await refused(400, None, content=b"junk", headers={"content-type": "multipart/form-data"})
        await refused(413, None, files={"file": ("a", b"x" * 6000)}, data={"purpose": "fine-tune"})

        async def chunks():
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            for _ in range(10):
                yield b"x" * 1000

        headers = {"content-type": "multipart/form-data; boundary=b"}
        await refused(413, None, content=chunks(), headers=headers)
        answer = await s.http.post("fine_tuning/jobs", content=b" " * 2000)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
        assert (await s.client.files.list()).data == []
        assert list((s.state / "files").glob("*")) == []

    play(scenario)


def test_a_crash_between_content_and_record_leaves_no_file(play, helpers, monkeypatch):
    async def scenario(s):
        def crash(self, record):
            raise OSError("killed")

        monkeypatch.setattr(Records, "put", crash)
        answer = await s.http.post("files", files={"file": ("a", b"x")}, data={"purpose": "fine-tune"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
        monkeypatch.undo()
        assert len(list((s.state / "files").iterdir())) == 1
        assert (await s.client.files.list()).data == []
        assert await helpers.upload(s)
        assert len((await s.client.files.list()).data) == 1

    play(scenario)


def test_records_of_other_processes_are_seen_and_forgotten(tmp_path):
    mine, theirs = Records(tmp_path, "file.json"), Records(tmp_path, "file.json")
    mine.put({"id": "a", "created_ns": 2})
    theirs.put({"id": "b", "created_ns": 1})
    assert [record["id"] for record in mine.newest_first()] == ["a", "b"]
    theirs.drop("b")
    assert mine.get("b") is None
    assert [record["id"] for record in mine.newest_first()] == ["a"]
    (tmp_path / "half").mkdir()
    assert [record["id"] for record in mine.newest_first()] == ["a"]
    write_json(tmp_path / "half" / "file.json", {"id": "half", "created_ns": 3})
    assert [record["id"] for record in mine.newest_first()] == ["half", "a"]
    assert read_json(tmp_path / "a" / "file.json") == {"id": "a", "created_ns": 2}
    assert mine.get("../a") is None
