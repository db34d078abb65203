"""Write penchant/data/films.npz: the vectors of the bundled films' texts, so that the demo need not read them.

    python tools/film_vectors.py

keys     uint8 [n, 16]: what the catalogue caches a vector under, a hash of encoder and text
vectors  float16 [n, dim], of length 1
encoder  the fingerprint; under another encoder no key is met, and the texts are read

Run it again when the films, the way their fields become text, or the default encoder change; a test compares.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from penchant.models.text_encoder import load_encoder
from penchant.pipeline.items import render
from penchant.serving.demo import FILMS, VECTORS, films
from penchant.storage.catalogue import text_key


def main() -> None:
    texts = [render("", film.fields) for film in films()]
    with tempfile.TemporaryDirectory() as cache:
        encoder = load_encoder(cache=Path(cache))
    keys = [np.frombuffer(text_key(encoder.fingerprint, text), np.uint8) for text in texts]
    vectors = encoder.encode(texts).astype(np.float16)
    np.savez_compressed(VECTORS, keys=np.stack(keys), vectors=vectors, encoder=np.array(encoder.fingerprint))
    print(f"{len(texts)} texts of {FILMS.name} as read by {encoder.name} -> {VECTORS} ({VECTORS.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
