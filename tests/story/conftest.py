import os
import shutil
import tempfile

import pytest

import house


@pytest.fixture(scope="session")
def cluster():
    cluster = house.Cluster()
    yield cluster
    cluster.remove()


@pytest.fixture(scope="session")
def cert():
    folder = tempfile.mkdtemp(prefix="callbackd-cert-")
    yield house.certificate(folder)
    shutil.rmtree(folder)


@pytest.fixture
def empty(cluster, cert, tmp_path_factory):
    """A world without servers."""
    # a unix socket's path is short: not below pytest's long folders
    folder = tempfile.mkdtemp(prefix="cb-", dir="/tmp")
    world = house.World(cluster, cert, folder)
    yield world
    try:
        world.close()
    finally:
        keep = os.environ.get("STORY_KEEP")
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def world(empty):
    """One server and the demo company."""
    empty.server()
    empty.company()
    return empty


@pytest.fixture(scope="module")
def module_world(cluster, cert):
    """A world that the stories of one file share; its servers are the file's to start."""
    # in memory: a line of the log waits for the disk when somebody else's fsync() holds up the journal
    folder = tempfile.mkdtemp(prefix="cb-", dir="/dev/shm" if os.path.isdir("/dev/shm") else "/tmp")
    world = house.World(cluster, cert, folder)
    yield world
    try:
        world.close()
    finally:
        if not os.environ.get("STORY_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)
