"""The arena: real programs in network namespaces, captured one guest at a time, so that their class is known.

    python -m tests.lab.arena [--list] [NAME...]     (from the project's root; Linux, root, /dev/net/tun, nftables)

Guests live on a LAN behind a Linux gateway that translates addresses. Behind a line with delays, losses and a rate
lies a made-up internet of servers and peers with addresses all over the place; nothing outside the machine is ever
contacted. Output: `pcaps/arena/`. A scene whose programs are not here is named and left out. All of them take

- from Debian: tcpdump ethtool nginx-light ffmpeg bind9-dnsutils nodejs perl xvfb; for P2P transmission-daemon
  qbittorrent-nox rtorrent ctorrent unworkable eiskaltdcpp-daemon uhub libtoxcore2 dhtnode syncthing litecoind; for talk
  ngircd irssi weechat-headless prosody dovecot-imapd isync fetchmail mosquitto mosquitto-clients openssh-server; for
  calls baresip-core coturn sip-tester gstreamer1.0-tools and its plugins base, good, bad, ugly and libav; for pages
  chromium firefox-esr surf netsurf-gtk dillo lynx httrack; for files wget wget2 curl aria2 axel rsync rclone lftp ncftp
  vsftpd smbclient samba git iperf3; for films mpv mplayer rtmpdump mpg123 icecast2 vlc-bin vlc-plugin-base; for names
  unbound bind9 knot-resolver pdns-recursor dnsperf; for scans nmap masscan zmap pnscan doscan fping onesixtyone braa
  nbtscan ike-scan sipvicious netcat-openbsd hping3 dmitry; for floods t50 netsniff-ng slowhttptest apache2-utils siege;
  for spam swaks postfix msmtp sendemail s-nail; none of them running as a service;
- from PyPI: libtorrent dnslib aiosmtpd slixmpp aiortc scapy slowloris aiosmtplib kademlia pyipv8 aioquic aiohttp
  streamlink yt-dlp;
- from npm, with -g and --ignore-scripts: hyperswarm@4.8 hypercore@10 random-access-memory hls.js webtorrent@1
  bittorrent-dht werift nodemailer gun libp2p @libp2p/{tcp,noise,yamux,identify,ping,kad-dht,gossipsub} multiformats
  @multiformats/multiaddr;
- for Tox groups, which Debian's libtoxcore 0.2.18 does not have, 0.2.20 from its source, without audio and video:
  `gcc -O2 -shared -fPIC -o /usr/local/lib/libtoxcore-0.2.20.so toxcore/*.c toxcore/events/*.c third_party/cmp/cmp.c
  -lsodium -lpthread -lm`.

By the lengths of its scenes a complete run takes half an hour, nearly all of it waiting.
"""
