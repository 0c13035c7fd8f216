"""The same house as the stories'."""

import importlib.util
import os
import sys

story = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "story")
sys.path.insert(0, story)
spec = importlib.util.spec_from_file_location("story_conftest", os.path.join(story, "conftest.py"))
house_fixtures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(house_fixtures)
cert, cluster, empty = house_fixtures.cert, house_fixtures.cluster, house_fixtures.empty
