"""Data sets that `semcom data get` downloads: origin, terms, sizes and hashes of their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from channels.errors import UsageError
from semcom.images import cifar10
from semcom.images.download import fetch

# Sizes and SHA-256 of the PNG files as served at r0k.us, which several public projects list with the same values. They
# could not be compared with the server when they were written down; the pixels of a losslessly recompressed copy, all
# of 768 x 512 or 512 x 768, equal those that are published for the original of kodim23.
_KODAK = (
    (736501, "a56e27cbf5f843c048b6af1d6e090760e9c92fadba88b7dee0205918a37523bd"),
    (617995, "4f4b74a79237e311d72cad958237b5f7088d8bce1c82305ebefe1a70e3022dfd"),
    (502888, "e25ca1ff2f0c0cb5fdfd5f9b0a0bb21ac4c3de3c84a67f35b09a85d3306249db"),
    (637432, "e3b946107c5d3441c022f678d0c3caf1e224d81b1604ba840a4f88e562de61aa"),
    (785610, "10349e963c5c813d327852f82c1795fa4148d69fedffc4c589bee458e3ac3d53"),
    (618959, "363510303b715d4cbc384e1ce227e466b613a09e1b71ae985882bf8e7fbd9b18"),
    (566322, "b77d3f006f42414bb242222e0482e750c0fb9e5ee8d4bed2f6f11c5605fe54a4"),
    (788470, "ba23983c76b4832ee0e8af0592664756841a16779acd69f792e268fb6d13d6e7"),
    (582899, "6a4361c2fc194feb4edaa9f9a4a0620fb9943e460ac7fdf037fb0f6dd6607a7d"),
    (593463, "9dfb70f5867c29ff9ed6313683f19b3d867849e40fbc0c4c54a4a89df341cf23"),
    (621023, "7936814b58b5387fce2e4e2488b4ec830dadd95fa9520f358ddb30990b50f2b6"),
    (531024, "d78c37c2f04f23761ed2367dd77e2db584ddd4c3950833fecf89f199a8126980"),
    (822712, "bc34a3ce58dea09dce1704c997171602de90cb34d0c8503a988b77f473d39b08"),
    (692201, "55a94550ff18f3246c4074fd32b77b0c74447c26b6ad274d564d999c0450ba6e"),
    (612582, "7538cbb80cb9103606c48b806eae57d56c885c7f90b9b3be70a41160f9cbb683"),
    (534247, "a89c7268ccd4718ba424a99fc4643c572cf692ca6eae887185ceb4e9f11d2e54"),
    (602078, "37afcc89fbdcb76d9518e04b2fc011027e2f4cd14b3b2f83cefd721641a47c5b"),
    (780947, "1a9258c365988961d87a0598725b609139c303ad48a5aad6c503c3b1a87849aa"),
    (671476, "b7450b264b1b0a411390d8931b112c27905a992520fc90569dc4b920aa32bbdc"),
    (492462, "3b46c71e3b92a563820ba32936be8330c586c41f938efd94be938386aae4328a"),
    (637051, "ac958597c82073f6bb65129c68f72b651db5b9efd82e11547d07350214bc268b"),
    (701970, "1cee58eb1f2d9c7ebb254d208a03c783ce6cf2c4d8c2cf45e235dd23b4ce1b29"),
    (557596, "e3111a2fd4da24af15d6459ef9eacfe54106b38e27b4a21821b75c3f5d2d5baf"),
    (706397, "1071c68372cc5a01435c2c225a5cf7d4bb803846ec08bb6b3d6721b156d7cb96"),
)


@dataclass(frozen=True)
class PublishedFile:
    """A file of a data set.

    Args:
        name: name on the server and in the folder of the data set.
        size: size in bytes.
        sha256: SHA-256 in hex.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class PublishedSet:
    """A data set that can be downloaded.

    Args:
        name: name of the image source.
        content: images in one line.
        page: address of the page that describes the set.
        address: address of the folder of its files.
        terms: terms of use.
        files: files to download.
        folder: folder of the set in the data folder.
        unpack: function that unpacks a downloaded file into its folder and removes it; None for plain files.
        is_there: function that returns whether the unpacked set is in a folder; None for plain files.
    """

    name: str
    content: str
    page: str
    address: str
    terms: str
    files: tuple[PublishedFile, ...]
    folder: str
    unpack: Callable[[Path], None] | None = None
    is_there: Callable[[Path], bool] | None = None

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(file.size for file in self.files)

    def is_in(self, data: Path) -> bool:
        """Whether a data folder contains the set."""
        home = data / self.folder
        if self.is_there is not None:
            return self.is_there(home)
        return all((home / file.name).is_file() for file in self.files)

    def get(self, data: Path, progress: Callable[[int], None] = lambda count: None, address: str = "") -> Path:
        """Download the set into its folder in a data folder; files that are there are verified and kept.

        Args:
            data: data folder; it is created.
            progress: function that is called with each number of new bytes.
            address: address of a folder with the same files, instead of the published one.

        Returns:
            Folder of the set.

        Raises:
            UsageError: a file cannot be downloaded, is not the published one, or another file has its name.
            OSError: a file cannot be written.
        """
        home = data / self.folder
        if self.is_there is not None and self.is_there(home):
            progress(self.size)
            return home
        for file in self.files:
            path = home / file.name
            fetch(f"{(address or self.address).rstrip('/')}/{file.name}", path, file.size, file.sha256, progress)
            if self.unpack is not None:
                self.unpack(path)
        return home


SETS = {
    published.name: published
    for published in (
        PublishedSet(
            name="kodak",
            content="24 photographs of 768 x 512 pixels, for evaluation only",
            page="https://r0k.us/graphics/kodak",
            address="https://r0k.us/graphics/kodak/kodak",
            terms="released by the Eastman Kodak Company for unrestricted use, as the page states",
            files=tuple(
                PublishedFile(f"kodim{number:02d}.png", size, sha256) for number, (size, sha256) in enumerate(_KODAK, 1)
            ),
            folder="kodak",
        ),
        PublishedSet(
            name="cifar10",
            content="60000 photographs of 32 x 32 pixels in ten classes: cifar10:train, cifar10:test",
            page="https://www.cs.toronto.edu/~kriz/cifar.html",
            address="https://www.cs.toronto.edu/~kriz",
            terms="no license is stated; the images were collected on the web; cite A. Krizhevsky, Learning multiple "
            "layers of features from tiny images, 2009",
            files=(PublishedFile(cifar10.ARCHIVE, 170498071, cifar10.ARCHIVE_SHA256),),
            folder=cifar10.FOLDER,
            unpack=cifar10.unpack,
            is_there=cifar10.is_there,
        ),
    )
}
"""Data sets by the name of their image source."""


def find(name: str) -> PublishedSet:
    """The data set of a name.

    Raises:
        UsageError: there is no such set.
    """
    if name not in SETS:
        raise UsageError(f"no data set {name!r} to download; there are {', '.join(SETS)} and hf:ORG/NAME:SPLIT")
    return SETS[name]
