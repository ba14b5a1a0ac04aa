// Every link type that has a name in wire/packet.h: those that dissect() knows.
#pragma once

#include "wire/packet.h"

namespace tcpwhy::wire {

inline constexpr LinkType link_types[] = {
    LinkType::null, LinkType::ethernet,   LinkType::raw_bsd,   LinkType::raw_openbsd, LinkType::ppp,
    LinkType::raw,  LinkType::ieee802_11, LinkType::loop,      LinkType::linux_sll,   LinkType::ieee802_11_radiotap,
    LinkType::ipv4, LinkType::ipv6,       LinkType::linux_sll2};

}  // namespace tcpwhy::wire
