"""All scenes, in the order in which they are played: the long ones first."""

from tests.arena import (
    abuse,
    bulk,
    call,
    calling,
    chat,
    flooding,
    lookups,
    mesh,
    mixed,
    names,
    scanning,
    spamming,
    torrent,
    tox,
    watching,
    web,
)

SCENES = (
    *tox.SCENES,
    *mixed.SCENES,
    *torrent.SCENES,
    *mesh.SCENES,
    *chat.SCENES,
    *call.SCENES,
    *calling.SCENES,
    *web.SCENES,
    *bulk.SCENES,
    *watching.SCENES,
    *names.SCENES,
    *lookups.SCENES,
    *abuse.SCENES,
    *scanning.SCENES,
    *flooding.SCENES,
    *spamming.SCENES,
)
