"""ImageWalk: goes from block to block of an image while its bytes pass, and notices its end."""

from fileservice.content_risks import ContentRisk
from fileservice.upload.errors import ContentRefused, TooComplex

_MAX_STEPS = 500_000


class ImageWalk:
    """The base of walks, whose `step` knows one format.

    The work is bounded by the number of blocks that the image consists of. What lies in a block is
    skipped.
    """

    def __init__(self) -> None:
        self._rest = b""
        """What has passed of the block at which the walk is."""
        self._skip = 0
        """How many of the bytes to come lie before the next block."""
        self._steps = 0
        self.has_ended = False
        self.needs_end = True
        """Whether the image must have an end, with nothing behind it."""

    def step(self, data: bytes, at: int) -> int | None:
        """Return where the next block begins, maybe behind `data`; None if that is not known yet.

        Set `has_ended` if there is none. Raise ValueError if this is no block of the format.
        """
        raise NotImplementedError

    def feed(self, block: bytes | memoryview) -> None:
        """Look at the next bytes. Raise TooComplex or ContentRefused."""
        if self._skip >= len(block):
            self._skip -= len(block)
            return
        if self.has_ended:
            self._check_rest(len(block) - self._skip)
            return
        data = self._rest + bytes(block[self._skip :])
        self._skip, self._rest = 0, b""
        at = 0
        while at < len(data) and not self.has_ended:
            try:
                following = self.step(data, at)
            except ValueError:
                self.has_ended = True
                self._check_rest(1)
                return
            if following is None:
                self._rest = data[at:]
                return
            self._steps += 1
            if self._steps > _MAX_STEPS:
                raise TooComplex("structure", _MAX_STEPS, "blocks")
            at = following
        if self.has_ended:
            self._check_rest(len(data) - at)
        self._skip = max(0, at - len(data))

    def conclude(self) -> None:
        """Raise ContentRefused if the image has no end, so that anything may follow in it."""
        if not self.has_ended or self._skip:
            self._check_rest(1)

    def _check_rest(self, count: int) -> None:
        if count > 0 and self.needs_end:
            raise ContentRefused(
                ContentRisk.TRAILING_BYTES.value, "bytes that do not belong to the image"
            )
