"""A Hub on 127.0.0.1 for tests: the HTTP API that the real libraries speak, with faults on demand.

    with LoopbackHub() as hub:
        HfApi(endpoint=hub.url, token=WRITE_TOKEN).create_repo("me/x")

Everything is kept in memory. Private repos need a token, commits are atomic and know their
parent, large files go by git-LFS, collections and access requests have their calls.
"""

import asyncio
import re
import socket
import threading
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from tests.publish.loopback_files import FileCalls
from tests.publish.loopback_repo import PREFIXES, WHEN, File, Repo, missing

WRITE_TOKEN, READ_TOKEN, BLIND_TOKEN = "hf_writes", "hf_reads", "hf_blind"
ROLES = {WRITE_TOKEN: "write", READ_TOKEN: "read", BLIND_TOKEN: "fineGrained"}
"""The last may read nothing but what is public."""
NAMESPACES = ("me", "clinic")
KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}


@dataclass
class Fault:
    """Answer the next `times` requests that match with `status`, or do what `how` says.

    `how`: "status", "drop" (the connection, before the request is handled), "lose" (handle it,
    then drop the connection instead of answering), "slow" (answer after `seconds`).
    """

    path: str
    method: str = "POST"
    status: int = 500
    how: str = "status"
    times: int = 1
    retry_after: int | None = None
    seconds: float = 0.3
    message: str = ""

    def takes(self, scope):
        hit = scope["method"] == self.method and re.search(self.path, scope["path"])
        if not hit or self.times == 0:
            return False
        self.times -= 1
        return True


class LoopbackHub(FileCalls):
    """The server, in a thread; `repos`, `collections`, `blobs`, `log` are there to look at."""

    def __init__(self):
        self.clear()
        routes = [
            Route("/api/whoami-v2", self.whoami),
            Route("/api/repos/create", self.create, methods=["POST"]),
            Route("/api/validate-yaml", self.validate, methods=["POST"]),
            Route("/api/collections", self.list_collections, methods=["GET"]),
            Route("/api/collections", self.make_collection, methods=["POST"]),
            Route("/api/collections/{slug:path}/items", self.collect, methods=["POST"]),
            Route("/api/collections/{slug:path}", self.show_collection, methods=["GET"]),
            Route("/lfs/{oid}", self.put_blob, methods=["PUT"]),
            *self._repo_routes("/api/{kinds}/{owner}/{name}"),
        ]
        for prefix in ("/datasets", "/spaces", ""):
            base = prefix + "/{owner}/{name}"
            routes += [
                Route(base + ".git/info/lfs/objects/batch", self.lfs_batch, methods=["POST"]),
                Route(base + "/resolve/{revision}/{path:path}", self.resolve),
            ]
        handlers = {HTTPException: _error}
        self.app = Starlette(routes=routes, exception_handlers=handlers)
        # asyncio turns Nagle's delays off only where the protocol is given
        self._socket = socket.socket(proto=socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self._faulty, interface="asgi3", log_level="error", lifespan="off", access_log=False
        )
        self._server = uvicorn.Server(config)
        sockets = {"sockets": [self._socket]}
        self._thread = threading.Thread(target=self._server.run, kwargs=sockets, daemon=True)

    def _repo_routes(self, base):
        return [
            Route(base, self.info),
            Route(base + "/revision/{revision}", self.info),
            Route(base + "/preupload/{revision}", self.preupload, methods=["POST"]),
            Route(base + "/commit/{revision}", self.commit, methods=["POST"]),
            Route(base + "/tree/{revision}", self.tree),
            Route(base + "/tree/{revision}/{path:path}", self.tree),
            Route(base + "/paths-info/{revision}", self.paths_info, methods=["POST"]),
            Route(base + "/refs", self.refs),
            Route(base + "/commits/{revision}", self.commits),
            Route(base + "/tag/{revision}", self.tag, methods=["POST"]),
            Route(base + "/settings", self.settings, methods=["PUT"]),
            Route(base + "/auth-check", self.auth_check),
            Route(base + "/secrets", self.give_secret, methods=["POST"]),
        ]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()

    def clear(self):
        """Forget everything, as if new."""
        self.repos, self.collections, self.blobs = {}, {}, {}
        self.faults, self.log = [], []

    def fail(self, path, **how):
        """Add a `Fault`; earlier ones are taken first."""
        self.faults.append(Fault(path, **how))

    def repo(self, repo_id, kind="model"):
        return self.repos[kind, repo_id]

    def count(self, method, path):
        """How many requests matched, with or without a fault."""
        return sum(seen == method and bool(re.search(path, where)) for seen, where in self.log)

    async def _faulty(self, scope, receive, send):
        self.log.append((scope["method"], scope["path"]))
        fault = next((fault for fault in self.faults if fault.takes(scope)), None)
        if fault and fault.how == "lose":
            await self.app(scope, receive, _nothing)
        if fault and fault.how in ("drop", "lose"):
            receive.__self__.transport.abort()
        elif fault and fault.how == "status":
            await _broken(fault)(scope, receive, send)
        else:
            await asyncio.sleep(fault.seconds if fault else 0)
            await self.app(scope, receive, send)

    # Who is asking, and for which repo

    def _role(self, request):
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return ROLES.get(token)

    def _sees(self, request):
        return self._role(request) in ("write", "read")

    def _needs(self, request, role="write"):
        found = self._role(request)
        if found is None:
            text = "Invalid credentials in Authorization header"
            raise HTTPException(401, text, {"X-Error-Message": text})
        if role == "write" and found != "write":
            raise HTTPException(403, "this token may only read")

    def _repo(self, request):
        names = request.path_params
        kind = KINDS.get(names.get("kinds") or request.url.path.split("/")[1], "model")
        repo_id = f"{names['owner']}/{names['name']}"
        found = self.repos.get((kind, repo_id))
        if found is None or (found.private and not self._sees(request)):
            raise missing("RepoNotFound", "Repository not found")
        files = any(word in request.url.path for word in ("/resolve/", "/auth-check"))
        if found.gated and files and not self._sees(request):
            raise HTTPException(403, "gated", {"X-Error-Code": "GatedRepo"})
        return found

    async def whoami(self, request: Request):
        self._needs(request, "read")
        token = {"displayName": "test", "role": self._role(request)}
        groups = [{"name": name, "type": "org"} for name in NAMESPACES[1:]]
        auth = {"type": "access_token", "accessToken": token}
        return JSONResponse({"type": "user", "name": "me", "orgs": groups, "auth": auth})

    # Repos

    async def create(self, request: Request):
        self._needs(request)
        asked = await request.json()
        owner, kind = asked.get("organization") or "me", asked.get("type", "model")
        if owner not in NAMESPACES:
            raise HTTPException(403, f"no right to create under the namespace {owner}")
        repo_id = f"{owner}/{asked['name']}"
        url = {"url": f"{self.url}/{PREFIXES[kind]}{repo_id}"}
        if (kind, repo_id) in self.repos:
            return JSONResponse({"error": "You already created this repo"} | url, 409)
        private = asked.get("visibility") == "private" or asked.get("private", False)
        repo = self.repos[kind, repo_id] = Repo(kind, repo_id, private)
        repo.commit({".gitattributes": File(b"*.safetensors filter=lfs\n")})
        return JSONResponse(url | {"name": repo_id, "id": repo_id})

    async def info(self, request: Request):
        revision = request.path_params.get("revision", "main")
        return JSONResponse(self._repo(request).info(revision))

    async def settings(self, request: Request):
        self._needs(request)
        repo, asked = self._repo(request), await request.json()
        repo.gated = asked.get("gated", repo.gated)
        if "visibility" in asked:
            repo.private = asked["visibility"] == "private"
        return JSONResponse({})

    async def auth_check(self, request: Request):
        self._repo(request)
        return JSONResponse({})

    async def give_secret(self, request: Request):
        self._needs(request)
        asked = await request.json()
        self._repo(request).secrets[asked["key"]] = asked["value"]
        return JSONResponse({})

    async def refs(self, request: Request):
        repo = self._repo(request)
        lists = {
            key: [
                {"name": name, "ref": f"refs/{word}/{name}", "targetCommit": oid}
                for name, oid in names.items()
            ]
            for key, word, names in (
                ("branches", "heads", repo.refs),
                ("tags", "tags", repo.tags),
            )
        }
        return JSONResponse(lists | {"converts": []})

    async def commits(self, request: Request):
        repo = self._repo(request)
        facts = {"title": "commit", "message": "", "date": WHEN, "authors": []}
        return JSONResponse([{"id": oid} | facts for oid in reversed(repo.commits)])

    async def tag(self, request: Request):
        self._needs(request)
        repo, name = self._repo(request), (await request.json())["tag"]
        if name in repo.tags:
            raise HTTPException(409, f"Tag reference exists already: {name}")
        repo.tags[name] = repo.resolve(request.path_params["revision"])
        return JSONResponse({})

    # Collections

    async def list_collections(self, request: Request):
        owner = request.query_params.get("owner")
        seen = [c for c in self.collections.values() if c["owner"]["name"] == owner]
        return JSONResponse(
            [
                {key: value for key, value in c.items() if key != "position"}
                | {"items": c["items"][:4]}
                for c in seen
                if not c["private"] or self._role(request)
            ]
        )

    async def make_collection(self, request: Request):
        self._needs(request)
        asked = await request.json()
        if len(asked.get("description", "")) > 150:
            raise HTTPException(400, "the description is longer than 150 characters")
        words = re.sub(r"\W+", "-", asked["title"].lower())
        slug = f"{asked['namespace']}/{words}-{len(self.collections):024x}"
        made = self.collections[slug] = asked | {
            "slug": slug,
            "owner": {"name": asked["namespace"], "type": "user"},
            "items": [],
            "lastUpdated": WHEN,
            "position": 0,
            "theme": "blue",
            "upvotes": 0,
        }
        return JSONResponse(made)

    async def show_collection(self, request: Request):
        return JSONResponse(self.collections[request.path_params["slug"]])

    async def collect(self, request: Request):
        self._needs(request)
        found, item = (
            self.collections[request.path_params["slug"]],
            (await request.json())["item"],
        )
        if any(item["id"] == old["id"] and item["type"] == old["type"] for old in found["items"]):
            raise HTTPException(409, "the item is in the collection already")
        position = len(found["items"])
        found["items"].append(item | {"_id": f"{position:024x}", "position": position})
        return JSONResponse(found)


async def _nothing(_message):
    """Swallow an answer."""


def _broken(fault):
    """What a gateway shows: a page instead of JSON, or the Hub's own refusal."""
    headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
    if fault.status >= 500 and not fault.message:
        return HTMLResponse("<h1>The request could not be satisfied</h1>", fault.status, headers)
    if fault.message:
        headers["X-Error-Message"] = fault.message
    return JSONResponse({"error": fault.message or "refused"}, fault.status, headers)


def _error(_request, error):
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
