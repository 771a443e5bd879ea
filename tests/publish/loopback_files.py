"""The loopback Hub's calls for files: upload, commit, list, download."""

import base64
import hashlib
import json
import re

import yaml
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.publish.loopback_repo import PREFIXES, File, missing

LARGE = (".safetensors", ".parquet", ".png", ".jpg", ".bin")


class FileCalls:
    """For `LoopbackHub`: these need its `blobs`, `url`, `_repo` and `_needs`."""

    async def tree(self, request: Request):
        repo = self._repo(request)
        files = repo.commits[repo.resolve(request.path_params["revision"])]
        under = request.path_params.get("path", "").strip("/")
        start = under + "/" if under else ""
        inside = {path: file for path, file in files.items() if path.startswith(start)}
        if under and not inside:
            raise missing("EntryNotFound", f"no folder {under}")
        deep = request.query_params.get("recursive", "").lower() in ("1", "true")
        folders = {
            "/".join(parts[:depth])
            for parts in (path.split("/") for path in inside)
            for depth in range(start.count("/") + 1, len(parts))
            if deep or depth == start.count("/") + 1
        }
        found = [{"type": "directory", "path": p, "oid": "0" * 40, "size": 0} for p in folders]
        flat = {p: f for p, f in inside.items() if deep or "/" not in p[len(start) :]}
        return JSONResponse(found + [file.entry(path) for path, file in flat.items()])

    async def paths_info(self, request: Request):
        repo = self._repo(request)
        files = repo.commits[repo.resolve(request.path_params["revision"])]
        if "json" in request.headers.get("Content-Type", ""):
            asked = (await request.json())["paths"]
        else:
            asked = (await request.form()).getlist("paths")
        folders = [p for p in asked if any(path.startswith(p.strip("/") + "/") for path in files)]
        return JSONResponse(
            [files[path].entry(path) for path in asked if path in files]
            + [{"type": "directory", "path": p, "oid": "0" * 40, "size": 0} for p in folders]
        )

    # Files up

    async def validate(self, request: Request):
        content = (await request.json())["content"]
        try:
            parts = content.split("---\n", 2)
            facts = yaml.safe_load(parts[1]) if content.startswith("---\n") else {}
            license = (facts or {}).get("license", "")
            errors = [] if isinstance(license, str) else ['"license" must be a string']
        except yaml.YAMLError as error:
            errors = [str(error)]
        found = {"errors": [{"message": text} for text in errors], "warnings": []}
        return JSONResponse(found, 400 if errors else 200)

    async def preupload(self, request: Request):
        self._needs(request)
        repo, asked = self._repo(request), await request.json()
        ignored = asked.get("gitIgnore")
        if ignored is None:
            ignored = repo.files.get(".gitignore", File(b"")).content.decode()
        answer = []
        for file in asked["files"]:
            binary = b"\0" in base64.b64decode(file["sample"])
            large = binary or file["path"].endswith(LARGE)
            there = repo.files.get(file["path"])
            oid = there and (there.sha256 if there.lfs else there.git_id)
            answer.append(
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if large else "regular",
                    "shouldIgnore": file["path"] in ignored.split(),
                    "oid": oid,
                }
            )
        return JSONResponse({"files": answer})

    async def lfs_batch(self, request: Request):
        self._needs(request)
        self._repo(request)
        objects = (await request.json())["objects"]
        for item in objects:
            if item["oid"] not in self.blobs:
                item["actions"] = {"upload": {"href": f"{self.url}/lfs/{item['oid']}"}}
        return JSONResponse({"transfer": "basic", "objects": objects})

    async def put_blob(self, request: Request):
        content, oid = await request.body(), request.path_params["oid"]
        if hashlib.sha256(content).hexdigest() != oid:
            raise HTTPException(400, "the content has another SHA-256")
        self.blobs[oid] = content
        return Response()

    async def commit(self, request: Request):
        self._needs(request)
        repo = self._repo(request)
        lines = [json.loads(line) for line in (await request.body()).splitlines() if line]
        header, *operations = lines
        parent = header["value"].get("parentCommit")
        if parent and parent != repo.head:
            raise HTTPException(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repo.files)
        for line in operations:
            self._apply(files, line["key"], line["value"])
        oid = repo.commit(files)
        url = f"{self.url}/{PREFIXES[repo.kind]}{repo.repo_id}/commit/{oid}"
        return JSONResponse({"success": True, "commitOid": oid, "commitUrl": url})

    def _apply(self, files, key, value):
        path = value["path"]
        if key == "file":
            files[path] = File(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            if value["oid"] not in self.blobs:
                raise HTTPException(400, f"LFS object {path} is not there")
            files[path] = File(self.blobs[value["oid"]], lfs=True)
        elif key == "deletedFile":
            if path not in files:
                raise missing("EntryNotFound", "A file with this name doesn't exist")
            del files[path]
        else:
            raise HTTPException(400, f"unknown operation {key}")

    # Files down

    async def resolve(self, request: Request):
        repo, names = self._repo(request), request.path_params
        oid = repo.resolve(names["revision"])
        file = repo.commits[oid].get(names["path"])
        if file is None:
            raise missing("EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": oid, "ETag": f'"{file.sha256}"', "Accept-Ranges": "bytes"}
        content, size, code = file.content, len(file.content), 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if asked and size:
            first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
            content, code = content[first : last + 1], 206
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        headers["Content-Length"] = str(len(content))
        body = b"" if request.method == "HEAD" else content
        return Response(body, code, headers, media_type="application/octet-stream")
