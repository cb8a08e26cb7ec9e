"""A folder's or an archive's files: all images, or all audio."""

from __future__ import annotations

from ganaudit.data.audio import is_audio, read_audio
from ganaudit.data.files import FileSet
from ganaudit.data.gallery import read_gallery
from ganaudit.data.images import is_image
from ganaudit.data.options import ReadOptions
from ganaudit.data.samples import Samples
from ganaudit.document.errors import SourceError
from ganaudit.progress import Progress

__all__ = ["is_sample", "read_collection"]


def is_sample(name: str) -> bool:
    """Return whether a relative path names an image or audio by its suffix, and is not hidden."""
    return is_image(name) or is_audio(name)


def read_collection(files: FileSet, options: ReadOptions, progress: Progress) -> Samples:
    """Return the samples of ``files``; raises SourceError as ``read_gallery`` and ``read_audio``, and for a mixture."""
    sounds = [name for name in files.names if is_audio(name)]
    if not sounds:
        return read_gallery(files, options, progress)
    others = len(files.names) - len(sounds)
    if others:
        image = next(name for name in files.names if not is_audio(name))
        raise SourceError(
            f"{files.path}: holds {others} image files (such as {image}) and {len(sounds)} audio files (such as "
            f"{sounds[0]}); samples are of one kind: put them in folders of their own"
        )
    return read_audio(files, options, progress)
