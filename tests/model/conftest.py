import os
import shutil
import sys
import tempfile

import psycopg
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "story"))

import house  # noqa: E402


@pytest.fixture(scope="session")
def cluster():
    cluster = house.Cluster()
    yield cluster
    cluster.remove()


@pytest.fixture(scope="module")
def db(cluster):
    with psycopg.connect(cluster.conninfo(cluster.database()), autocommit=True, options="-c search_path=callbackd,public") as db:
        yield db


@pytest.fixture(scope="session")
def follower(cluster):
    """A database and one node on it that only ever follows: the leases are somebody else's."""
    folder = tempfile.mkdtemp(prefix="cb-", dir="/tmp")
    world = house.World(cluster, house.certificate(folder), folder)
    server = world.server("follower", database__tail_ms=50, database__lease_ms=300)
    with server.operator() as server.line:
        yield server
    try:
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
