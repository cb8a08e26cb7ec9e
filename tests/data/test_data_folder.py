import os
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import ganaudit.data.storage
from ganaudit.data.reading import ReadOptions, read_samples
from ganaudit.document.errors import SourceError

READ = ReadOptions()


def fails(path, options=READ):
    with pytest.raises(SourceError) as caught:
        read_samples(path, options)
    return str(caught.value)


# --- what is read ----------------------------------------------------------------------------------------------------


def test_pixels_come_back_in_the_order_of_their_paths(folder, pixels, encoded):
    names = ["b.png", "a.png", "C.PNG", "a10.png", "a2.png"]
    images = {name: pixels(seed) for seed, name in enumerate(names)}
    samples = read_samples(folder({name: encoded(image) for name, image in images.items()}), READ)
    np.testing.assert_array_equal(samples.array, np.stack([images[name] for name in sorted(names)]))
    assert (samples.kind, samples.form, samples.labels, samples.classes) == ("images", "folder", None, ())
    assert samples.shape == (3, 6, 5)
    assert samples.describe() == "3x6x5 uint8"


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF"])
def test_lossless_formats_keep_grey_pixels(folder, pixels, encoded, form):
    image = pixels(channels=1)
    samples = read_samples(folder({f"a.{form.lower()}": encoded(image, form)}), READ)
    np.testing.assert_array_equal(samples.array[0, :, :, 0], image)


@pytest.mark.parametrize(("form", "suffix"), [("JPEG", "jpg"), ("JPEG", "jpeg"), ("WEBP", "webp"), ("TIFF", "tif")])
def test_other_formats_are_read(folder, encoded, form, suffix):
    samples = read_samples(folder({f"a.{suffix}": encoded(np.full((8, 8, 3), 90, np.uint8), form)}), READ)
    assert samples.shape == (3, 8, 8)
    assert abs(samples.array.astype(int) - 90).max() <= 2


def test_modes_become_grey_or_rgb(folder, pixels, encoded):
    grey, colour = pixels(channels=1), pixels()
    opaque = np.full((6, 5, 1), 255, np.uint8)
    cases = {
        "1": (Image.fromarray(grey).convert("1"), 1),
        "L": (Image.fromarray(grey), 1),
        "LA": (Image.fromarray(np.concatenate([grey[..., None], opaque], 2)), 1),
        "P": (Image.fromarray(colour).quantize(8), 3),
        "RGB": (Image.fromarray(colour), 3),
        "RGBA": (Image.fromarray(np.concatenate([colour, opaque], 2)), 3),
    }
    for mode, (image, channels) in cases.items():
        assert image.mode == mode
        samples = read_samples(folder({"a.png": encoded(image)}, name=f"mode-{mode}"), READ)
        assert samples.shape == (channels, 6, 5)
        expected = np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(6, 5, channels)
        np.testing.assert_array_equal(samples.array[0], expected)


def test_immediate_subfolders_are_classes(folder, pixels, encoded):
    files = {"dog/1.png": 0, "cat/deep/2.png": 1, "dog/3.png": 2}
    samples = read_samples(folder({name: encoded(pixels(seed)) for name, seed in files.items()}), READ)
    assert samples.classes == ("cat", "dog")
    assert samples.labels.tolist() == [0, 1, 1]
    assert samples.labels.dtype == np.int64


def test_an_image_outside_the_subfolders_means_no_classes(folder, pixels, encoded):
    samples = read_samples(folder({"dog/1.png": encoded(pixels()), "2.png": encoded(pixels())}), READ)
    assert samples.labels is None
    assert samples.classes == ()


def test_other_files_and_hidden_ones_are_ignored(folder, pixels, encoded):
    image = encoded(pixels())
    root = folder({"a.png": image, "manifest.json": b"{}", "notes.txt": b"x", ".b.png": b"x", ".git/c.png": b"x"})
    assert len(read_samples(root, READ)) == 1


def test_a_link_that_leads_back_ends(folder, pixels, encoded):
    root = folder({"one/a.png": encoded(pixels())})
    (root / "one" / "again").symlink_to(root, target_is_directory=True)
    assert len(read_samples(root, READ)) == 1


def test_resize_is_pillows_bicubic_and_mixed_colour_becomes_rgb(folder, pixels, encoded):
    grey, colour = pixels(0, 9, 7, 1), pixels(1, 4, 4)
    root = folder({"a.png": encoded(grey), "b.png": encoded(colour)})
    samples = read_samples(root, ReadOptions(resize=(6, 5)))
    assert samples.shape == (3, 5, 6)
    for row, image in zip(samples.array, (grey, colour), strict=True):
        expected = Image.fromarray(image).convert("RGB").resize((6, 5), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(row, np.asarray(expected))


def test_resize_leaves_grey_sets_grey(folder, pixels, encoded):
    root = folder({"a.png": encoded(pixels(0, 9, 7, 1)), "b.png": encoded(pixels(0, 4, 4, 1))})
    assert read_samples(root, ReadOptions(resize=(4, 4))).shape == (1, 4, 4)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3]), st.integers(1, 4), st.integers(0, 99))
def test_what_is_written_is_read(tmp_path_factory, pixels, encoded, height, width, channels, count, seed):
    root = tmp_path_factory.mktemp("round")
    images = [pixels(seed + i, height, width, channels) for i in range(count)]
    for i, image in enumerate(images):
        (root / f"{i:03d}.png").write_bytes(encoded(image))
    samples = read_samples(root, READ)
    np.testing.assert_array_equal(samples.array, np.stack(images).reshape(count, height, width, channels))


def test_reading_twice_gives_equal_digests_whatever_the_order_of_creation(folder, pixels, encoded):
    files = {f"{name}.png": encoded(pixels(seed)) for seed, name in enumerate("hgfedcba")}
    one = read_samples(folder(files, "one"), READ)
    two = read_samples(folder(dict(reversed(files.items())), "two"), READ)
    assert one.digest == two.digest


def test_many_samples_lie_in_a_file_without_a_name(folder, pixels, encoded, monkeypatch):
    root = folder({f"{i}.png": encoded(pixels(i)) for i in range(4)})
    expected = read_samples(root, READ)
    monkeypatch.setattr(ganaudit.data.storage, "IN_MEMORY_BYTES", 100)
    samples = read_samples(root, READ)
    assert isinstance(samples.array, np.memmap)
    assert samples.digest == expected.digest
    assert samples.take([3, 1], "two").digest == expected.take([3, 1], "two").digest


def test_progress_is_told(folder, pixels, encoded):
    class Told:
        steps = 0

        def task(self, label, total, unit="samples"):
            return self

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            return None

        def advance(self, steps):
            self.steps += steps

        def note(self, text): ...

    told = Told()
    read_samples(folder({f"{i}.png": encoded(pixels(i)) for i in range(3)}), READ, told)
    assert told.steps == 6  # headers, then pixels


# --- what is refused -------------------------------------------------------------------------------------------------


def test_missing_path(tmp_path):
    message = fails(tmp_path / "nowhere")
    assert "there is no such file or folder" in message
    assert "nowhere" in message


def test_unsupported_suffix_lists_what_is_allowed(tmp_path):
    path = tmp_path / "a.rar"
    path.write_bytes(b"x")
    message = fails(path)
    assert ".rar" in message
    assert ".zip, .npz, .npy" in message


def test_a_single_image_is_told_to_go_into_a_folder(tmp_path, pixels, encoded):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(pixels()))
    assert "goes into a folder" in fails(path)


def test_empty_folder(folder):
    message = fails(folder({"notes.txt": b"x"}))
    assert "no image files" in message
    assert ".png" in message


def test_mixed_sizes_name_both_files_and_shapes(folder, pixels, encoded):
    root = folder({"a.png": encoded(pixels()), "b.png": encoded(pixels(0, 8, 9)), "c.png": encoded(pixels(0, 7, 7))})
    message = fails(root)
    for part in ("a.png is 3x6x5", "b.png is 3x8x9", "2 of 3 differ", "--resize 5x6"):
        assert part in message
    assert "resize every image to WxH with antialiased bicubic and bring mixed grey/colour images to RGB" in message


def test_mixed_channels(folder, pixels, encoded):
    message = fails(folder({"a.png": encoded(pixels()), "b.png": encoded(pixels(channels=1))}))
    assert "a.png is 3x6x5 (colour" in message
    assert "b.png is 1x6x5 (grey" in message


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_must_be_composited(folder, pixels, encoded, channels):
    image = np.full((6, 5, channels), 200, np.uint8)
    message = fails(folder({"a.png": encoded(image)}), ReadOptions(skip_unreadable=True))
    assert "a.png" in message
    assert "alpha goes down to 200" in message
    assert "composite" in message


def test_a_transparent_colour_counts_where_it_is_used(folder, encoded):
    image = Image.fromarray(np.full((4, 4, 3), 7, np.uint8))
    assert "composite" in fails(folder({"a.png": encoded(image, transparency=(7, 7, 7))}, "used"))
    unused = folder({"a.png": encoded(image, transparency=(1, 2, 3))}, "unused")
    assert read_samples(unused, READ).shape == (3, 4, 4)


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bit_png_is_refused(folder, png, colour, channels):
    rows = (b"\0" + b"\x12\x34" * channels * 4) * 4
    message = fails(folder({"a.png": png(4, 4, 16, colour, rows)}))
    assert "16-bit" in message
    assert "8 bits" in message


@pytest.mark.parametrize(("dtype", "words"), [(np.uint16, "16-bit"), (np.int32, "32-bit"), (np.float32, "32-bit")])
def test_deep_tiff_is_refused(folder, encoded, dtype, words):
    assert words in fails(folder({"a.tif": encoded(np.ones((4, 4), dtype), "TIFF")}))


def test_other_colour_spaces_are_refused(folder, encoded):
    message = fails(folder({"a.jpg": encoded(Image.new("CMYK", (4, 4)), "JPEG")}))
    assert "CMYK" in message
    assert "grey and RGB are allowed" in message


def test_animation_is_refused(folder, encoded, pixels):
    frames = [Image.fromarray(pixels(seed, channels=1)) for seed in range(3)]
    message = fails(folder({"a.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])}))
    assert "several frames" in message


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_images_are_broken(folder, pixels, encoded, form, share):
    content = encoded(pixels(0, 40, 40), form)
    name = f"b.{form.lower()}"
    root = folder({"a.png": encoded(pixels(0, 40, 40)), name: content[: int(len(content) * share)]})
    message = fails(root)
    assert name in message
    assert "cannot be read as an image" in message
    assert "--skip-unreadable" in message
    skipped = read_samples(root, ReadOptions(skip_unreadable=True))
    assert skipped.unreadable == (name,)
    assert len(skipped) == 1


def test_a_png_without_its_end_or_with_a_wrong_checksum_is_broken(folder, pixels, encoded):
    content = encoded(pixels())
    assert "truncated" in fails(folder({"a.png": content[:-12]}, "end")).lower()
    flipped = bytearray(content)
    flipped[-20] ^= 1
    assert "cannot be read" in fails(folder({"a.png": bytes(flipped)}, "flip"))


def test_skipped_images_leave_order_labels_and_reasons(folder, pixels, encoded):
    files = {"x/1.png": encoded(pixels(1)), "x/2.png": b"junk", "y/3.png": encoded(pixels(3)), "y/4.png": b""}
    samples = read_samples(folder(files), ReadOptions(skip_unreadable=True))
    np.testing.assert_array_equal(samples.array, np.stack([pixels(1), pixels(3)]))
    assert samples.labels.tolist() == [0, 1]
    assert samples.unreadable == ("x/2.png", "y/4.png")
    assert all("cannot be read as an image" in reason for reason in samples.reasons)


def test_an_error_in_the_pixels_is_skipped_like_one_in_the_header(folder, pixels, encoded):
    content = encoded(pixels(0, 40, 40), "JPEG")
    files = {"1.jpg": content[:-200], "2.jpg": content}
    samples = read_samples(folder(files), ReadOptions(skip_unreadable=True))
    assert (len(samples), samples.unreadable) == (1, ("1.jpg",))


def test_nothing_readable_is_an_error_even_when_skipping(folder, pixels, encoded):
    assert "none of its 2 image files" in fails(
        folder({"1.png": b"junk", "2.png": b"more"}), ReadOptions(skip_unreadable=True)
    )
    truncated = encoded(pixels(0, 40, 40), "BMP")[:-200]
    assert "none of its 1 image files" in fails(folder({"1.bmp": truncated}, "b"), ReadOptions(skip_unreadable=True))


@pytest.mark.parametrize(("width", "height"), [(9_000, 9_000), (60_000, 60_000)])
def test_a_bomb_is_never_decoded(folder, png, pixels, encoded, width, height, monkeypatch):
    root = folder({"bomb.png": png(width, height), "a.png": encoded(pixels())})
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", None)
    message = fails(root)
    assert "bomb.png" in message
    assert "more pixels than the 64000000 that are decoded" in message
    monkeypatch.undo()
    skipped = read_samples(root, ReadOptions(skip_unreadable=True))
    assert skipped.unreadable == ("bomb.png",)
    assert "more pixels" in skipped.reasons[0]


def test_pixels_per_image_files_and_bytes_are_limited(folder, pixels, encoded):
    root = folder({f"{i}.png": encoded(pixels(i)) for i in range(3)})
    assert "more pixels than the 20" in fails(root, ReadOptions(max_pixels=20))
    assert "more than 2 image files" in fails(root, ReadOptions(max_files=2))
    message = fails(root, ReadOptions(max_total_bytes=200))
    assert "270 bytes" in message
    assert "200 bytes" in message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_and_broken_links_are_unreadable(folder, pixels, encoded):
    root = folder({"a.png": encoded(pixels())})
    os.mkfifo(root / "pipe.png")
    (root / "link.png").symlink_to("nowhere.png")
    samples = read_samples(root, ReadOptions(skip_unreadable=True))
    assert samples.unreadable == ("link.png", "pipe.png")


def test_names_are_safe_to_print(folder):
    message = fails(folder({"\x1b[31mred\n.png": b"junk"}))
    assert "\x1b" not in message
    assert "\n" not in message


def test_features_come_from_arrays(folder, pixels, encoded):
    assert "--extractor identity" in fails(folder({"a.png": encoded(pixels())}), ReadOptions(features=True))


@pytest.mark.parametrize("value_range", [(1.0, -1.0), (0.0, 0.0), (0.0, float("inf")), (float("nan"), 1.0)])
def test_impossible_ranges(value_range):
    with pytest.raises(SourceError, match="--range"):
        ReadOptions(value_range=value_range)


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (100_000, 100_000)])
def test_impossible_sizes(size):
    with pytest.raises(SourceError, match="--resize"):
        ReadOptions(resize=size)


# --- zip archives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_reads_as_the_folder_that_it_holds(folder, zipped, pixels, encoded, compression):
    files = {"b/2.png": encoded(pixels(2)), "a/1.jpg": encoded(pixels(1), "JPEG"), "b/10.PNG": encoded(pixels(3))}
    from_folder = read_samples(folder(files), READ)
    from_zip = read_samples(zipped(files | {"readme.txt": b"x"}, "IMAGES.ZIP", compression), READ)
    assert from_zip.digest == from_folder.digest
    assert (from_zip.form, from_zip.classes) == ("zip", ("a", "b"))


def test_names_that_lead_elsewhere_are_harmless(zipped, pixels, encoded, tmp_path):
    before = sorted(tmp_path.parent.rglob("*"))
    path = zipped({"../../evil.png": encoded(pixels()), "/abs.png": encoded(pixels()), "__MACOSX/a/._x.png": b"x"})
    samples = read_samples(path, READ)
    assert (len(samples), samples.labels) == (2, None)
    assert sorted(set(tmp_path.parent.rglob("*")) - set(before)) == [path]


def test_a_member_without_a_name_is_ignored(zipped, pixels, encoded):
    path = zipped({"a.png": encoded(pixels()), "q": b""}, compression=zipfile.ZIP_STORED)
    raw = path.read_bytes()
    at = raw.rindex(b"PK\x01\x02")
    directory = bytearray(raw[at:])
    directory[28] = 0  # the name's length
    directory[30] = 1  # its byte becomes an extra field's
    path.write_bytes(raw[:at] + bytes(directory))
    assert len(read_samples(path, READ)) == 1


def test_an_archive_without_images(zipped):
    message = fails(zipped({"a.npy": b"x", "b.npy": b"y"}))
    assert "no image files" in message
    assert "2 .npy" in message


def test_no_archive_at_all(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"no zip")
    assert "cannot be read as a .zip archive" in fails(path)


def test_mixed_sizes_in_a_zip(zipped, pixels, encoded):
    message = fails(zipped({"a.png": encoded(pixels()), "b.png": encoded(pixels(0, 3, 3))}))
    assert "b.png is 3x3x3" in message


def test_broken_members_are_named_and_skipped(zipped, pixels, encoded):
    path = zipped({"a.png": encoded(pixels()), "b.png": b"junk"})
    assert "b.png" in fails(path)
    assert read_samples(path, ReadOptions(skip_unreadable=True)).unreadable == ("b.png",)


def test_a_damaged_member_is_broken(zipped, pixels, encoded):
    path = zipped({"a.png": encoded(pixels(0, 30, 30)), "b.png": encoded(pixels(1, 30, 30))}, compression=0)
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)
    assert "cannot be unpacked" in fails(path)
    assert read_samples(path, ReadOptions(skip_unreadable=True)).unreadable == ("a.png",)


def test_a_repeated_byte_is_refused_as_a_bomb(zipped):
    message = fails(zipped({"a.png": bytes(32 * 2**20)}))
    assert "decompression bomb" in message
    assert "32 MiB" in message


def test_the_unpacked_size_is_limited(zipped, pixels, encoded):
    files = {f"{i}.png": encoded(pixels(i)) for i in range(3)}
    assert "the unpacked archive" in fails(zipped(files), ReadOptions(max_total_bytes=300))
    assert "one file may have" in fails(zipped(files), ReadOptions(max_file_bytes=50))
    assert "more than 2 image files" in fails(zipped(files), ReadOptions(max_files=2))


def test_a_directory_that_lies_about_sizes_gains_nothing(zipped, pixels, encoded):
    content = encoded(pixels(0, 30, 30))
    path = zipped({"a.png": content}, compression=zipfile.ZIP_STORED)
    raw = path.read_bytes()
    true, lie = len(content).to_bytes(4, "little"), (len(content) // 2).to_bytes(4, "little")
    assert raw.count(true) >= 4
    at = raw.rindex(b"PK\x01\x02")
    head, directory = raw[:at], bytearray(raw[at:])
    directory[24:28] = lie  # uncompressed size
    path.write_bytes(head + bytes(directory))
    assert "cannot be unpacked" in fails(path)
    directory[24:28] = (2 * len(content)).to_bytes(4, "little")
    path.write_bytes(head + bytes(directory))
    assert "cannot be unpacked" in fails(path) or "declares" in fails(path)


def test_encrypted_members_are_refused(zipped, pixels, encoded):
    path = zipped({"a.png": encoded(pixels())})
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    message = fails(path)
    assert "encrypted" in message
    assert "without a password" in message


def test_strange_compression_is_refused(zipped, pixels, encoded):
    message = fails(zipped({"a.png": encoded(pixels())}, compression=zipfile.ZIP_LZMA))
    assert "store or deflate" in message
