"""Behind nginx, under a path: clients can use every address in the responses."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin

import httpx

from cluster.run import nginx as run_nginx
from tests.support.ports import free_port
from tests.support.reverse_proxies import ProxiedServer, documented_location
from tests.support.servers import LiveServer
from tests.support.tus import Tus, named

BROWSER = {"Accept": "text/html,*/*;q=0.8"}
NAME = "a b+c% \u00e4.txt"


class Crawl:
    """Addresses that the service returns, by where they were found."""

    def __init__(self, base: str) -> None:
        self.client = httpx.Client(base_url=f"{base}/", timeout=30)
        self.found: dict[str, str] = {}

    def note(self, where: str, answer: httpx.Response, *fields: str) -> httpx.Response:
        """Record the addresses in these fields of an answer, each of which it must have."""
        for field in fields:
            value = answer.headers[field]
            if field == "Link":
                value = value[1 : value.index(">")]
            self.found[f"{where}: {field}"] = urljoin(str(answer.url), value)
        return answer

    def note_page(self, where: str, answer: httpx.Response) -> None:
        assert answer.headers["Content-Type"].startswith("text/html")
        links = re.findall(r'(?:href|src|action)="([^"]+)"', answer.text)
        assert links
        for link in links:
            address = urljoin(str(answer.url), link.replace("&amp;", "&"))
            self.found[f"{where}: {link}"] = address
        for command in re.findall(r"curl -T \S+ (\S+?)<", answer.text):
            self.found[f"{where}: curl"] = command


def test_every_address_in_every_answer_is_one_of_the_proxy(behind: ProxiedServer) -> None:
    crawl = Crawl(behind.url)
    with crawl.client as client:
        crawl.note("root", client.get(""), "Location")
        crawl.note_page("empty page", client.get("upload"))
        assert "empty page: curl" in crawl.found
        file = {"file": (NAME, b"text\n")}
        form = client.post("upload", files=file, headers=BROWSER)
        crawl.note("form", form, "Location")
        (cookie,) = client.cookies.jar
        assert urljoin(behind.url, cookie.path) == f"{behind.url}/upload"
        crawl.note_page("page after a form", client.get("upload"))
        assert not client.cookies
        put = client.put("upload/b.txt", content=b"text\n")
        crawl.note("put", put, "Location")
        crawl.found["record"] = put.json()["url"]
        for record in crawl.note("list", client.get("download?limit=1"), "Link").json():
            crawl.found["list"] = record["url"]
        for record in client.get("download").json():
            crawl.found[f"list: {record['filename']}"] = record["url"]
        crawl.note_page("page", client.get("upload?sort=-size&limit=1"))
        for url in [url for where, url in crawl.found.items() if "/assets/" in url]:
            crawl.found |= {
                f"{url}: {name}": urljoin(url, name)
                for name in re.findall(r"from '(\S+\.js)'", client.get(url).text)
            }
        crawl.note_page("problem", client.get("download/none.txt", headers=BROWSER))
        gone = client.get("elsewhere", headers=BROWSER)
        crawl.note_page("no such path", gone)
        for url in set(crawl.found.values()):
            if not url.endswith("/upload/"):
                query = (
                    "?prefix=none-such" if url.endswith("/archive.zip") else ""
                )  # it is that of a form
                assert client.get(url + query).status_code in (200, 302), url
        tus = Tus(client)
        begun = tus.request("POST", "tus/", named("c.txt") | {"Upload-Length": "5"})
        upload = crawl.note("tus", begun, "Location").headers["Location"]
        crawl.note("tus, ended", tus.patch(upload, 0, b"text\n"), "Content-Location")
        crawl.note("tus, asked", tus.head(upload), "Content-Location")
        begun = client.put("upload/d.txt", headers={"Upload-Complete": "?0"}, content=b"te")
        upload = crawl.note("draft", begun, "Location").headers["Location"]
        assert client.head(upload).headers["Upload-Offset"] == "2"
        ended = client.patch(
            upload,
            headers={
                "Upload-Complete": "?1",
                "Upload-Offset": "2",
                "Content-Type": "application/partial-upload",
            },
            content=b"xt\n",
        )
        crawl.note("draft, ended", ended, "Location")
        crawl.note("draft, asked", client.head(upload), "Content-Location")
    elsewhere = {
        where: url for where, url in crawl.found.items() if not url.startswith(f"{behind.url}/")
    }
    assert not elsewhere
    assert len(crawl.found) > 40


def test_names_with_any_characters_pass_the_proxy(behind: ProxiedServer) -> None:
    with httpx.Client(timeout=30) as client:
        for name in ("a b.txt", "50%.txt", "a%2Bc+d.txt", "q?#&=.txt", "\u00e4\u20ac.txt"):
            form = client.post(f"{behind.url}/upload", files={"file": (name, name.encode())})
            assert form.status_code == 201, form.text
            record = form.json()
            assert client.get(record["url"]).content == name.encode()
            assert client.delete(record["url"]).status_code == 204


def test_a_malformed_forwarded_field_is_refused(
    tmp_path: Path, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server(TRUSTED_PROXIES="127.0.0.1", WORKERS="1")
    for field in ("X-Forwarded-Host: [::1", "X-Forwarded-Prefix: //evil.example"):
        name, _, value = field.partition(": ")
        answer = httpx.put(f"{server.url}/upload/a.txt", content=b"text\n", headers={name: value})
        assert answer.status_code == 400
        assert answer.json()["code"] == "bad-request"
    assert server.published() == []


def test_through_two_proxies_a_client_can_invent_neither_its_address_nor_the_service(
    nginx: None, tmp_path: Path, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server(
        TRUSTED_PROXIES="127.0.0.1", MAX_UNFINISHED_UPLOADS_PER_CLIENT="1", WORKERS="1"
    )
    inner, outer = free_port(), free_port()
    location = documented_location()
    # The inner one passes on what the outer one says, and appends the address of the outer one.
    passed_on = re.sub(r"proxy_set_header X-Forwarded-(?!For).*?;\n", "", location)
    passed_on = passed_on.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    passed_on = passed_on.replace("location /store/", "location /")
    location = location.replace("127.0.0.1:8000", f"127.0.0.1:{inner}")
    (tmp_path / "inner").mkdir()
    (tmp_path / "outer").mkdir()

    def configuration(port: int, lines: str) -> str:
        return f"events {{}}\nhttp {{\nserver {{ listen 127.0.0.1:{port};\n{lines}\n}}\n}}\n"

    base = f"http://127.0.0.1:{outer}/store"
    forged = {
        "X-Forwarded-For": "192.0.2.1, 127.0.0.1, 127.0.0.1",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "for=192.0.2.1;host=evil.example;proto=https",
        "X-Real-IP": "192.0.2.1",
        "X-Forwarded-Port": "1",
    }
    with (
        run_nginx(tmp_path / "inner", inner, configuration(inner, passed_on)),
        run_nginx(tmp_path / "outer", outer, configuration(outer, location)),
        httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.5")) as client,
        httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.6")) as other,
    ):
        put = client.put(f"{base}/upload/a.txt", content=b"text\n", headers=forged)
        assert put.status_code == 201
        assert put.headers["Location"] == f"{base}/download/a.txt"

        def begin(who: httpx.Client, address: str) -> int:
            fields = forged | {"X-Forwarded-For": address}
            length = named("b.txt") | {"Upload-Length": "5"}
            return Tus(who).request("POST", f"{base}/tus/", fields | length).status_code

        assert begin(client, "192.0.2.1") == 201
        for address in ("192.0.2.2", "127.0.0.6", "192.0.2.3, 127.0.0.1", "", "unknown"):
            assert begin(client, address) == 429
        assert begin(other, "127.0.0.5") == 201
