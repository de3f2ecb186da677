"""Tests that pictures of every mode and depth are decoded as in docs/images.md.

Both decoders are tested: the graph that is served, which is compiled once, and
the decoder of predict.py.
"""

import io
import itertools
import struct
import zlib

from uncertainty_distill.data import pictures
from uncertainty_distill.data.pictures import image_decoding

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

_SIZE = (16, 16)
_ROWS, _COLUMNS = np.mgrid[:16, :16]
_WAVES = 0.5 + 0.45 * np.stack(
  [np.sin(_ROWS / 4), np.cos(_COLUMNS / 5), np.sin((_ROWS + _COLUMNS) / 6)], -1
)
_PIXELS = np.round(_WAVES * 255).astype(np.uint8)
_ALPHA = (_ROWS * 16 + _COLUMNS).astype(np.uint8)
_GRAY, _COLOR, _PALETTE, _GRAY_ALPHA, _COLOR_ALPHA = 0, 2, 3, 4, 6
_ORIENTATIONS = {
  1: lambda x: x,
  2: lambda x: x[:, ::-1],
  3: lambda x: x[::-1, ::-1],
  4: lambda x: x[::-1],
  5: lambda x: x.swapaxes(0, 1),
  6: lambda x: x.swapaxes(0, 1)[:, ::-1],
  7: lambda x: x.swapaxes(0, 1)[::-1, ::-1],
  8: lambda x: x.swapaxes(0, 1)[::-1],
}


@pytest.fixture(name='served', scope='module')
def fixture_served():
  """The decoder of a SavedModel: a graph that decodes one file."""
  return tf.function(
    lambda encoded: image_decoding.decode_image(encoded, _SIZE),
    input_signature=[tf.TensorSpec([], tf.string)],
    autograph=False,
  )


@pytest.fixture(name='read')
def fixture_read(tmp_path):
  """The decoder of predict.py, as a function of a file's bytes."""

  def read(content):
    path = tmp_path / 'picture'
    path.write_bytes(content)
    return pictures.read_picture(str(path), _SIZE)

  return read


def _encoded(image, form, **options):
  content = io.BytesIO()
  image.save(content, form, **options)
  return content.getvalue()


def _on_white(colors, alpha):
  """Lays colors [16, 16, c] on white; exact in integers."""
  alpha = alpha[..., None].astype(int)
  mixed = 2 * (colors * alpha + 255 * (255 - alpha)) + 255
  return np.broadcast_to(mixed // 510, [*_SIZE, 3]).astype(np.uint8)


def _as_pillow(content):
  """Returns what Pillow shows, on white."""
  with Image.open(io.BytesIO(content)) as image:
    shown = np.asarray(image.convert('RGBA'))
  return _on_white(shown[..., :3], shown[..., 3])


def _png(samples, kind, bits, chunks=()):
  """Returns a PNG file of samples [16, 16, c]; Pillow lacks some depths."""
  rows = samples.reshape(16, -1)
  if bits == 16:
    packed = rows.astype('>u2').view(np.uint8)
  else:
    shifts = np.arange(bits)[::-1]
    packed = np.packbits(
      (rows[..., None] >> shifts & 1).reshape(16, -1), axis=-1
    )
  lines = b''.join(b'\0' + row.tobytes() for row in packed)
  head = struct.pack('>IIBBBBB', 16, 16, bits, kind, 0, 0, 0)
  content = b'\x89PNG\r\n\x1a\n'
  parts = (b'IHDR', head), *chunks, (b'IDAT', zlib.compress(lines)), (b'IEND',)
  for name, data in (part + (b'',) * (2 - len(part)) for part in parts):
    checksum = zlib.crc32(name + data)
    content += struct.pack('>I', len(data)) + name + data
    content += struct.pack('>I', checksum)
  return content


def _png_table():
  """Yields a name, a file and pixels for each color type, depth and tRNS."""
  for bits in 1, 2, 4, 8, 16:
    most = 2**bits - 1
    gray = np.round(_WAVES[..., :1] * most).astype(int)
    shown = gray * (255 // most) if bits <= 8 else gray >> 8
    solid = np.full(_SIZE, 255)
    key = gray[3, 5, 0]
    holes = np.where(gray[..., 0] == key, 0, 255)
    yield f'gray {bits}', _png(gray, _GRAY, bits), _on_white(shown, solid)
    transparent = (b'tRNS', struct.pack('>H', key))
    yield (
      f'gray {bits} tRNS',
      _png(gray, _GRAY, bits, [transparent]),
      _on_white(shown, holes),
    )
    if bits <= 8:
      colors = np.random.RandomState(0).randint(0, 256, [most + 1, 3])
      covers = np.arange(most + 1) * 255 // most
      palette = (b'PLTE', colors.astype(np.uint8).tobytes())
      transparent = (b'tRNS', covers.astype(np.uint8).tobytes())
      index = gray[..., 0]
      for name, chunks, cover in (
        ('', [palette], solid),
        (' tRNS', [palette, transparent], covers[index]),
      ):
        yield (
          f'palette {bits}{name}',
          _png(gray, _PALETTE, bits, chunks),
          _on_white(colors[index], cover),
        )
    if bits < 8:
      continue
    color = np.round(_WAVES * most).astype(int)
    shown_color = color >> (bits - 8)
    alpha = _ALPHA.astype(int) << (bits - 8)
    key = color[3, 5]
    holes = np.where((color == key).all(-1), 0, 255)
    transparent = (b'tRNS', struct.pack('>HHH', *key))
    yield f'color {bits}', _png(color, _COLOR, bits), shown_color
    yield (
      f'color {bits} tRNS',
      _png(color, _COLOR, bits, [transparent]),
      _on_white(shown_color, holes),
    )
    for kind, base, shown_base in (
      (_GRAY_ALPHA, gray, shown),
      (_COLOR_ALPHA, color, shown_color),
    ):
      samples = np.concatenate([base, alpha[..., None]], -1)
      yield (
        f'color type {kind} of {bits}',
        _png(samples, kind, bits),
        _on_white(shown_base, _ALPHA),
      )


def test_every_kind_of_png(served, read):
  names = []
  for name, content, want in _png_table():
    np.testing.assert_array_equal(served(content), want, name)
    np.testing.assert_array_equal(read(content), want, name)
    names.append(name)
  assert len(names) == 26


def _written_by_pillow(forms, modes):
  """Yields names and files of the formats and modes that Pillow can write."""
  base = Image.fromarray(_PIXELS)
  base.putalpha(Image.fromarray(_ALPHA))
  for form, mode in itertools.product(forms, modes):
    source = base if mode in ('RGBA', 'LA', 'PA') else base.convert('RGB')
    options = {'lossless': True} if form == 'WEBP' else {}
    try:
      if mode == 'LAB':
        picture = Image.fromarray(_PIXELS, 'LAB')
      else:
        picture = source.convert(mode)
      yield f'{form} {mode}', _encoded(picture, form, **options)
    except (OSError, KeyError, ValueError):
      continue


def test_eight_bits_that_pillow_writes(served, read):
  Image.init()
  forms = ['PNG', 'TIFF', 'WEBP', 'BMP', 'GIF', 'PPM', 'TGA', 'PCX', 'SGI']
  forms += ['JPEG2000', 'DIB', 'QOI']
  modes = [
    '1',
    'L',
    'P',
    'LA',
    'PA',
    'RGB',
    'RGBA',
    'RGBX',
    'CMYK',
    'YCbCr',
    'LAB',
  ]
  names = set()
  for name, content in _written_by_pillow(forms, modes):
    want = _as_pillow(content)
    np.testing.assert_array_equal(read(content), want, name)
    names.add(name)
    if name.startswith('PNG'):
      np.testing.assert_array_equal(served(content), want, name)
    else:
      with pytest.raises(tf.errors.InvalidArgumentError):
        served(content)
  assert {
    'PNG P',
    'TIFF LAB',
    'TIFF CMYK',
    'TIFF YCbCr',
    'WEBP RGBA',
    'GIF P',
  } <= names
  assert len(names) >= 40


def test_jpeg_as_pillow(served, read):
  for mode, quality, subsampling, progressive in itertools.product(
    ['L', 'RGB', 'CMYK', 'YCbCr'], [30, 75, 95], [0, 1, 2], [False, True]
  ):
    content = _encoded(
      Image.fromarray(_PIXELS).convert(mode),
      'JPEG',
      quality=quality,
      subsampling=subsampling,
      progressive=progressive,
    )
    want = _as_pillow(content).astype(int)
    for got in served(content).numpy(), read(content):
      assert np.abs(got - want).max() <= 2


def test_sixteen_bits(read):
  deep = np.round(_WAVES[..., 0] * 65535).astype(np.uint16)
  want = np.repeat((deep >> 8)[..., None], 3, -1)
  for form in 'PNG', 'TIFF', 'PPM', 'JPEG2000':
    mode = np.int32 if form == 'PPM' else np.uint16
    content = _encoded(Image.fromarray(deep.astype(mode)), form)
    np.testing.assert_array_equal(read(content), want, form)
  big_endian = Image.fromarray(deep.astype('>u2'))
  np.testing.assert_array_equal(read(_encoded(big_endian, 'TIFF')), want)
  color = np.round(_WAVES * 65535).astype(np.uint16)
  for suffix in '.tiff', '.png':
    _, content = cv2.imencode(suffix, color[..., ::-1])
    np.testing.assert_array_equal(read(content.tobytes()), color >> 8)


def test_tiff_of_twelve_bits_and_of_dark_zeros(read):
  deep = np.round(_WAVES[..., 0] * 65535).astype(np.uint16)
  tiff = _encoded(Image.fromarray(deep), 'TIFF')
  bits, interpretation = (
    struct.pack('<HHII', tag, 3, 1, value)
    for tag, value in ((258, 16), (262, 1))
  )
  assert bits in tiff and interpretation in tiff
  negative = tiff.replace(interpretation, struct.pack('<HHII', 262, 3, 1, 0))
  want = np.repeat((deep >> 8)[..., None], 3, -1)
  np.testing.assert_array_equal(read(negative), 255 - want)
  shifts = np.arange(12)[::-1]
  packed = np.packbits((deep >> 4)[..., None] >> shifts & 1).tobytes()
  pixels = deep.tobytes()
  twelve = tiff.replace(pixels, packed + bytes(len(pixels) - len(packed)))
  twelve = twelve.replace(bits, struct.pack('<HHII', 258, 3, 1, 12))
  np.testing.assert_array_equal(read(twelve), want)


def test_floats_and_wide_integers(read):
  waves = _WAVES[..., 0].astype(np.float32)
  gray = np.round(waves * 255).astype(np.uint8)
  want = np.repeat(gray[..., None], 3, -1)
  for pixels in waves, gray.astype(np.float32), gray.astype(np.int32):
    content = _encoded(Image.fromarray(pixels), 'TIFF')
    np.testing.assert_array_equal(read(content), want)
  for pixels in (
    waves * 1.5,
    waves - 1,
    waves * np.nan,
    waves * 1000,
    (waves * 65535).astype(np.int32),
    -gray.astype(np.int32),
  ):
    content = _encoded(Image.fromarray(pixels), 'TIFF')
    with pytest.raises(pictures.UnreadableError):
      read(content)


def _exif(orientation, little_endian=True):
  order = '<' if little_endian else '>'
  start = b'II*\0' if little_endian else b'MM\0*'
  entries = (0x010F, 2, 3, b'Me\0\0'), (0x0112, 3, 1, None)
  packed = struct.pack(f'{order}IH', 8, len(entries))
  for tag, kind, count, value in entries:
    value = value or struct.pack(f'{order}HH', orientation, 0)
    packed += struct.pack(f'{order}HHI', tag, kind, count) + value
  return start + packed + bytes(4)


@pytest.mark.parametrize('orientation', range(10))
def test_orientation(orientation, served, read):
  upright = Image.fromarray(_PIXELS)
  turn = _ORIENTATIONS.get(orientation, _ORIENTATIONS[1])
  tiff, little = _exif(orientation, False), _exif(orientation)
  png = _encoded(upright, 'PNG', exif=b'Exif\0\0' + tiff)
  jpeg = _encoded(upright, 'JPEG', exif=b'Exif\0\0' + little)
  webp = _encoded(upright, 'WEBP', exif=b'Exif\0\0' + little, lossless=True)
  for content in png, webp:
    np.testing.assert_array_equal(read(content), turn(_PIXELS))
  np.testing.assert_array_equal(served(png), turn(_PIXELS))
  want = turn(_as_pillow(jpeg))
  np.testing.assert_array_equal(served(jpeg), want)
  np.testing.assert_array_equal(read(jpeg), want)
  # A picture that is not square swaps its sides when it is turned.
  wide = Image.fromarray(_PIXELS[:8])
  content = _encoded(wide, 'PNG', exif=b'Exif\0\0' + tiff)
  stretched = Image.fromarray(turn(_PIXELS[:8])).resize(_SIZE, Image.BILINEAR)
  assert np.abs(served(content).numpy() - np.asarray(stretched, int)).max() <= 1


def test_damaged_exif_is_upright(served):
  whole = _encoded(
    Image.fromarray(_PIXELS), 'JPEG', exif=b'Exif\0\0' + _exif(6)
  )
  at = whole.index(b'II*\0')
  want = _as_pillow(whole)
  for place, value in (at, 0), (at + 4, 255), (at + 7, 255), (at + 31, 9):
    content = bytearray(whole)
    content[place] = value
    np.testing.assert_array_equal(served(bytes(content)), want)
