"""Takes the compare of versions out of the SQL functions of a test's own database, and of nothing else: what a real
build is made of is not touched, so this cannot slip into one."""

COMPARE = "WHEN c.seq <> r.version THEN 'stale_version'"
FUNCTIONS = ("decide_offer", "decide_call", "decide_close")


def take_compare_out(town):
    for name in FUNCTIONS:
        text = town.rows("SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s", (name,))[0][0]
        assert text.count(COMPARE) == 1, f"{name}() does not compare versions in the way known here"
        town.cluster.sql(town.database, "SET search_path = callbackd, public; " + text.replace(COMPARE, ""))
