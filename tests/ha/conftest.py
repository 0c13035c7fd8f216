import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "story"))

import ha_site  # noqa: E402
import house  # noqa: E402


@pytest.fixture(scope="session")
def site():
    for tool in ("patroni", "etcd", "haproxy"):
        if shutil.which(tool, path="/usr/bin:/usr/sbin") is None:
            pytest.skip(f"no {tool}: contrib/packages names what Debian calls it, under [ha]")
    site = ha_site.Site()
    yield site
    site.remove()


@pytest.fixture(scope="module")
def cluster():
    cluster = house.Cluster()
    yield cluster
    cluster.remove()
