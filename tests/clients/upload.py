"""Uploads one file with tuspy, and prints the result as one line of JSON."""

import argparse
import functools
import json
import sys
import time

import requests
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError
from tusclient.uploader import Uploader


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--file", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--url", help="of an upload that exists, to be continued")
    parser.add_argument("--chunk-size", type=int, default=sys.maxsize)
    parser.add_argument("--retry-delays", default="", help="milliseconds, with commas between")
    parser.add_argument("--give-up-after", type=int, help="milliseconds of silence")
    parser.add_argument("--checksum", action="store_true")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    delays = [int(delay) / 1000 for delay in given.retry_delays.split(",") if delay]
    if given.give_up_after:  # tuspy waits for ever, and has no setting for it
        requests.Session.request = functools.partialmethod(
            requests.Session.request, timeout=given.give_up_after / 1000
        )
    uploader = None
    for delay in [*delays, None]:
        try:
            # What tuspy does not try again by itself: the creation, and the first question for
            # the offset of an upload that exists. A 502 is a proxy whose server has just gone.
            uploader = uploader or Uploader(
                file_path=given.file,
                client=TusClient(given.endpoint),
                url=given.url,
                chunk_size=given.chunk_size,
                metadata={"filename": given.name},
                retries=len(delays),
                retry_delay=max(delays, default=0),
                upload_checksum=given.checksum,
            )
            if not uploader.url:
                uploader.set_url(uploader.create_url())
            break
        except TusCommunicationError as error:
            if delay is None or 400 <= (error.status_code or 502) < 500:
                tell(uploader, error)
                return
            time.sleep(delay)
    try:
        uploader.upload()
    except TusCommunicationError as error:
        tell(uploader, error)
    else:
        tell(uploader, None)


def tell(uploader: Uploader | None, error: TusCommunicationError | None) -> None:
    result = {"url": uploader.url if uploader else None, "answers": [], "done": error is None}
    if error is not None:
        body = error.response_content
        result |= {
            "error": str(error),
            "status": error.status_code,
            "body": body.decode(errors="replace") if isinstance(body, bytes) else None,
        }
    print(json.dumps(result))  # noqa: T201


main()
