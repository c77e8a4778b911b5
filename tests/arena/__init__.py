"""The arena: real programs in network namespaces, captured one guest at a time, so that their class is known.

    python -m tests.arena [--list] [NAME...]     (from the project's root; Linux, root, /dev/net/tun, nftables)

Guests live on a LAN behind a Linux gateway that translates addresses. Behind a line with delays, losses and a rate
lies a made-up internet of servers and peers with addresses all over the place; nothing outside the machine is ever
contacted. Output: `pcaps/arena/`. A scene whose programs are not here is named and left out. All of them take

- from Debian: tcpdump ethtool nmap masscan hping3 nginx chromium firefox-esr wget curl aria2 rsync ffmpeg
  transmission-daemon qbittorrent-nox unbound bind9-dnsutils libtoxcore2 dhtnode ngircd irssi prosody dovecot-imapd
  swaks nodejs, none of them running as a service;
- from PyPI: libtorrent dnslib aiosmtpd slixmpp aiortc;
- from npm, with -g: hyperswarm@4.8 hypercore@10 random-access-memory hls.js;
- for Tox groups, which Debian's libtoxcore 0.2.18 does not have, 0.2.20 from its source, without audio and video:
  `gcc -O2 -shared -fPIC -o /usr/local/lib/libtoxcore-0.2.20.so toxcore/*.c toxcore/events/*.c third_party/cmp/cmp.c
  -lsodium -lpthread -lm`.

A complete run takes about a quarter of an hour, nearly all of it waiting.
"""
