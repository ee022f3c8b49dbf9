"""What the incident desk's history is made of: services, troubles and words, all of them invented.

No name here is a person's, a team's or a company's: teams are called by their work, people by an animal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Service:
    """A service that the desk watches.

    Attributes:
        name: its name.
        team: the team that answers for it.
        tier: 1 for what customers notice at once, 3 for what they do not.
    """

    name: str
    team: str
    tier: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """A kind of trouble, in words that are filled in with ``{part}``, ``{low}``, ``{high}`` and ``{service}``.

    Attributes:
        weight: how often it happens, against the others.
        hours: the middle of how long it takes to put right.
        titles: what it is called.
        descriptions: what is known when it is opened.
        notes: what people write while they look for it.
        resolutions: what put it right.
    """

    weight: int
    hours: float
    titles: tuple[str, ...]
    descriptions: tuple[str, ...]
    notes: tuple[str, ...]
    resolutions: tuple[str, ...]


SERVICES: Final = (
    Service("catalog", "storefront", 2),
    Service("checkout", "storefront", 1),
    Service("edge-gateway", "platform", 1),
    Service("identity", "accounts", 1),
    Service("inventory", "warehouse", 2),
    Service("mail", "messaging", 3),
    Service("notifications", "messaging", 2),
    Service("object-store", "platform", 1),
    Service("payments", "money", 1),
    Service("recommendations", "storefront", 3),
    Service("reporting", "insight", 3),
    Service("search", "storefront", 2),
)
"""The services, in the order of their names."""

PARTS: Final = {
    "catalog": ("product pages", "the price cache", "the image resizer", "the category tree"),
    "checkout": ("the basket", "the address form", "order placement", "the voucher check"),
    "edge-gateway": ("TLS termination", "the rate limiter", "the routing table", "the eu-west entry"),
    "identity": ("sign-in", "token refresh", "the session store", "password reset"),
    "inventory": ("stock levels", "the reservation worker", "the warehouse import", "returns"),
    "mail": ("the outgoing relay", "bounce handling", "the template renderer", "receipts"),
    "notifications": ("push delivery", "the text message gateway", "the fan-out queue", "user preferences"),
    "object-store": ("bucket listing", "uploads", "node os-4", "the replication job"),
    "payments": ("card payments", "refunds", "the settlement run", "the fraud check"),
    "recommendations": ("the ranking model", "the feature store", "the nightly training", "similar items"),
    "reporting": ("the daily export", "the dashboard", "the ledger sync", "the warehouse query"),
    "search": ("the index", "autocomplete", "the query parser", "the reindex job"),
}
"""The parts of each service that trouble can sit in."""

PEOPLE: Final = {
    "accounts": ("badger", "heron", "newt"),
    "insight": ("magpie", "tortoise"),
    "messaging": ("curlew", "marmot", "stoat"),
    "money": ("kestrel", "otter", "pangolin"),
    "platform": ("gannet", "ibex", "lynx", "walrus"),
    "storefront": ("dormouse", "fulmar", "hare", "tapir"),
    "warehouse": ("bison", "plover", "vole"),
}
"""The on-call handles of each team."""

WATCHERS: Final = ("monitor", "monitor", "monitor", "synthetic-checks", "support-desk")
"""Who opens incidents, besides the teams."""

TROUBLES: Final = (
    Trouble(
        7,
        1.5,
        ("High latency in {part}", "Latency of {part} above target", "Slow answers from {part}"),
        (
            "The p95 latency of {part} rose from {low} ms to {high} ms. Error rates are normal so far.",
            "Callers of {service} begin to queue: {part} takes {high} ms at p95, {low} ms is usual.",
        ),
        (
            "Latency is up on all instances alike, so not a single bad host.",
            "One query accounts for most of the time; looking at its plan.",
            "Added two instances; p95 fell, but not to where it was.",
            "Garbage collection pauses line up with the latency peaks.",
        ),
        (
            "A missing index was added; the latency of {part} is back at {low} ms.",
            "The connection pool of {part} was too small for the new traffic and was doubled.",
        ),
    ),
    Trouble(
        6,
        1.2,
        ("Timeouts when calling {part}", "{part}: upstream timeout", "Requests to {part} time out"),
        (
            "{low} % of the calls of {part} end in a timeout after 10 s.",
            "Of the requests to {service} that need {part}, {low} % are answered with 504.",
        ),
        (
            "The timeouts come from one availability zone only.",
            "Callers retry without backoff, which makes it worse; asked them to stop.",
            "Thread dump taken: all workers wait for the same lock.",
        ),
        (
            "Restarted {part} and set a deadline on its calls, so that a slow one cannot hold all workers.",
            "The network team replaced a faulty link; timeouts stopped within a minute.",
        ),
    ),
    Trouble(
        4,
        0.8,
        (
            "Certificate of {part} expires soon",
            "Expired certificate on {part}",
            "Certificate chain of {part} broken",
        ),
        (
            "Clients refuse the certificate of {part}. The renewal job last ran {low} days ago.",
            "The certificate of {part} is valid for {low} hours more, and was not renewed by itself.",
        ),
        (
            "The renewal job has no permission to write the new certificate.",
            "Only old clients fail: the intermediate certificate is missing from the chain.",
        ),
        (
            "A new certificate was issued and rolled out; the renewal job now alerts when it fails.",
            "The full chain is served again.",
        ),
    ),
    Trouble(
        5,
        2.0,
        ("Disk almost full on {part}", "Disk full: {part} cannot write", "{part} is out of disk space"),
        (
            "The data disk of {part} is {low} % full and grows by a percent every ten minutes.",
            "{part} refuses writes: no space left on its disk. {high} files were not stored.",
        ),
        (
            "Most of the space is debug logs; somebody left the level up after the last deploy.",
            "Deleted old snapshots, which gives us about a day.",
            "The cleanup job has not run since it was moved.",
        ),
        (
            "The disk of {part} was grown, and logs are rotated at 1 GiB.",
            "The cleanup job runs again, and an alert was set at 80 %.",
        ),
    ),
    Trouble(
        6,
        1.8,
        ("Queue of {part} keeps growing", "Backlog in the queue of {part}", "{part}: messages stuck in the queue"),
        (
            "The queue of {part} holds {high} messages, {low} are usual at this time.",
            "The oldest message in the queue of {part} is {low} minutes old, and nothing is taken out.",
        ),
        (
            "One poison message is taken and returned all the time.",
            "Consumers are up, but each holds a message for minutes.",
            "Doubled the consumers; the backlog shrinks slowly.",
        ),
        (
            "The poison message was moved aside, and the backlog of {part} was worked off.",
            "More consumers were added, and the queue has a limit for how often a message is taken.",
        ),
    ),
    Trouble(
        7,
        0.7,
        ("Errors in {part} after a deploy", "Deploy of {part} rolled back", "Bad deploy: {part} answers with 500"),
        (
            "Since the last deploy {low} % of the requests to {part} fail.",
            "The new version of {service} was deployed, and {part} does not start on it.",
        ),
        (
            "The error is in the new code path; the flag is on for everybody.",
            "Rolling back; two of six instances are done.",
            "A configuration value is missing in production only.",
        ),
        (
            "Rolled back. The deploy goes out again with the missing setting.",
            "The feature flag was switched off; a fixed version of {part} was deployed.",
        ),
    ),
    Trouble(
        4,
        3.0,
        ("Memory leak in {part}", "{part} is killed for using too much memory"),
        (
            "The memory of {part} grows by {low} MiB an hour until it is killed and starts anew.",
            "{part} was killed {low} times since midnight for using too much memory.",
        ),
        (
            "A heap dump shows a cache without a limit.",
            "Restarting each instance every few hours holds it for now.",
        ),
        ("The cache of {part} has a limit now; memory is flat.", "The library that leaked was replaced in {part}."),
    ),
    Trouble(
        4,
        1.0,
        ("{part} cannot reach its database", "Database connections exhausted in {part}"),
        (
            "{part} reports 'too many connections'; {low} requests failed in the last minute.",
            "The database of {service} failed over, and {part} still talks to the old primary.",
        ),
        (
            "Somebody runs a report against the primary; asked them to use the replica.",
            "Connections that are idle in a transaction hold row locks.",
        ),
        (
            "Long transactions were ended, and {part} gives its connections back.",
            "{part} follows the failover now and was restarted.",
        ),
    ),
    Trouble(
        3,
        5.0,
        ("Wrong data shown by {part}", "{part} shows stale data", "Duplicate records from {part}"),
        (
            "Support reports {low} cases in which {part} shows what was true yesterday.",
            "{part} wrote {high} records twice; nothing was lost.",
        ),
        (
            "The cache is not told about changes that come in by import.",
            "A list of all affected records is attached to the review.",
            "Wrote a script that mends the records; trying it on a copy.",
        ),
        ("The records were mended, and {part} was made to refuse duplicates.", "The cache of {part} was emptied."),
    ),
    Trouble(
        3,
        0.9,
        ("Rate limit hit by {part}", "Traffic spike on {part}"),
        (
            "{part} takes {high} requests a second, {low} are usual; some are refused.",
            "A partner refuses our calls for {part}: the rate limit was used up by noon.",
        ),
        ("Most of it comes from one client that retries at once.", "The limit is per key, and all hosts share a key."),
        ("The client was told, and {part} limits each client by itself.", "The partner raised the limit."),
    ),
)
"""The kinds of trouble. Their words are what the desk can be searched for."""

UPDATES: Final = (
    "Looking into it.",
    "Customers were told on the status page.",
    "No change in the last half hour; still looking at {part}.",
    "Handed over to the next shift, with all that is known.",
    "Looks better, but we keep watching {part}.",
)
"""What people write whatever the trouble is."""
