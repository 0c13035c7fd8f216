"""Figure 7: form posts with 200 routing rules, each of which matches as many posts as any other, beside the same posts
without rules, in turn.
"""

import intake
from meter import DoesNotCount

RULES = 200


def document(rules):
    """The product decides; the language stands beside it, and is the same for all."""
    return {"rules": [
        {"name": f"product-{n:03d}", "if": f'$.case.product == "consumer-loan-{n:03d}" && $.language == "de"',
         "then": {"priority": n % 3, "offer_timeout_s": 20 + n % 10}} for n in range(rules)]}


class Ruled(intake.Intake):
    """The same visitors, who want one of 200 products each."""

    def wrk(self, url, seconds):
        return super().wrk(url, seconds, str(RULES))

    def publish(self, rules):
        with self.server.operator() as operator:
            answer = operator.put("/v1/rules", json=document(rules), headers={"If-Match": "*"})
        assert answer.status_code == 200, answer.text

    def ruled(self):
        return self.world.rows("SELECT count(rule), count(DISTINCT rule), count(*) FROM callback"
                               " WHERE rule_version = (SELECT max(version) FROM rule_set)")[0]

    def check_rules(self, rules):
        placed, distinct, rows = self.ruled()
        if placed != (rows if rules else 0) or (rules and rows > 20 * RULES and distinct != RULES):
            raise DoesNotCount(f"of {rows} posts {placed} were placed by {distinct} of {rules} rules")

    def run(self, rules):
        self.publish(rules)
        name = f"form posts, {rules or 'no'} rules"
        rate = self.keep_alive(name, f"http://127.0.0.1:{self.plain}")
        self.check_rules(rules)
        return rate

    def show_rule_checks(self):
        self.bench.must_not_count("a post that no rule placed",
                                  lambda: self.world.sql("UPDATE callback SET rule = NULL WHERE callback_id = (SELECT callback_id FROM callback ORDER BY 1 DESC LIMIT 1)"),
                                  lambda: self.check_rules(RULES))


def measure(bench):
    ruled = Ruled(bench)
    bench.place.check_durable()
    ruled.wrk(f"http://127.0.0.1:{ruled.plain}", bench.warm)
    without, using = [], []
    for _ in range(bench.rounds):
        without.append(ruled.run(0))
        using.append(ruled.run(RULES))
    ruled.show_rule_checks()
    bench.report.add("intake_rules", "posts/s", [run["rate"] for run in using], [run["rate"] for run in without], "no rules",
                     floor=0.7, aim=0.9, of="ratio")
    bench.report.add("intake_rules_cpu", "CPU-us/post", [run["cost"] for run in using], [run["cost"] for run in without], "no rules",
                     better="less")
    ruled.server.stop()
