"""Reference Values from verified packages: each file under the path that the kernel reports, with where it came from.

IMA names a file by its real path: the folders and links on the way are followed. So the old top folders that are links
since the merge of /usr (/bin, /lib, …) become theirs under /usr, and links inside packages are followed likewise.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bartizan.model.package import PackageContent, PackagedFile, PackageSource
from bartizan.model.reference import Origin, ReferenceFile

MERGED = tuple(b"/" + name for name in (b"bin", b"sbin", b"lib", b"lib32", b"lib64", b"libo32", b"libx32"))
"""Top folders that are links into /usr on every Debian since 12 (bookworm's release notes, 5.1.10)."""
MAX_HOPS = 40
"""Links that the kernel follows in one path (MAXSYMLINKS)."""
ALG = "sha256"


class RealPaths:
    """Paths as the kernel reports them, given the links of all packages of a set."""

    def __init__(self, packages: Iterable[PackageContent]) -> None:
        """Where two packages have the same link, the first one counts."""
        self._links: dict[bytes, bytes] = {top: b"usr" + top for top in MERGED}
        for package in packages:
            for link in package.links:
                self._links.setdefault(merged(link.path), link.target)
        self._folders: dict[bytes, bytes | None] = {}

    def of(self, path: bytes) -> bytes | None:
        """The real path of what a package has under `path`, whose last part is not followed; None in a circle."""
        folder, _, name = path.rpartition(b"/")
        if folder not in self._folders:
            self._folders[folder] = self.followed(folder)
        real = self._folders[folder]
        return None if real is None else real + b"/" + name

    def followed(self, path: bytes) -> bytes | None:
        """A path with every link followed; None where they go in a circle."""
        done, steps, hops = b"", path.split(b"/")[::-1], 0
        while steps:
            step = steps.pop()
            if step in (b"", b"."):
                continue
            if step == b"..":
                done = done.rpartition(b"/")[0]
                continue
            target = self._links.get(done + b"/" + step)
            if target is None:
                done += b"/" + step
                continue
            hops += 1
            if hops > MAX_HOPS:
                return None
            done = b"" if target.startswith(b"/") else done
            steps += target.split(b"/")[::-1]
        return done


def merged(path: bytes) -> bytes:
    """A path under one of the old top folders, as it is since the merge of /usr."""
    top = path[: path.find(b"/", 1)] if b"/" in path[1:] else b""
    return b"/usr" + path if top in MERGED else path


def files_of(packages: Sequence[tuple[Origin, PackageContent]]) -> Iterator[ReferenceFile]:
    """Every file of these packages, and every link to one: a link that became a file of its own would be told.

    A file in a folder that another package replaces by a link is given under both paths.
    """
    contents = [content for _, content in packages]
    real = RealPaths(contents)
    known: dict[bytes, list[ReferenceFile]] = {}
    for origin, package in packages:
        for file in package.files:
            for path in sorted({merged(file.path), real.of(file.path) or merged(file.path)}):
                found = _reference(path, file, origin)
                known.setdefault(path, []).append(found)
                yield found
    yield from _through_links(contents, real, known)


def _through_links(
    packages: Iterable[PackageContent], real: RealPaths, known: Mapping[bytes, list[ReferenceFile]]
) -> Iterator[ReferenceFile]:
    seen: set[bytes] = set()
    for package in packages:
        for link in package.links:
            path, target = real.of(link.path), real.followed(merged(link.path))
            if path is None or target is None or path in seen or path in known:
                continue
            seen.add(path)
            for file in known.get(target, ()):
                yield ReferenceFile(
                    path=path, alg=file.alg, digest=file.digest, origin=file.origin, changeable=file.changeable
                )


def _reference(path: bytes, file: PackagedFile, origin: Origin) -> ReferenceFile:
    return ReferenceFile(path=path, alg=ALG, digest=file.sha256, origin=origin, changeable=file.conffile)


def origin_of(package: PackageContent, source: PackageSource) -> Origin:
    """The origin of a package's files."""
    return Origin(
        package=package.name,
        version=package.version,
        architecture=package.architecture,
        repository=source.repository,
        signer=source.signer,
    )
