#include "lab/link/rtnetlink.h"

#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>

#include "base/format.h"
#include "base/kernel_module.h"

namespace tcpwhy::lab {
namespace {

// One request being written; every one of ours fits.
struct MessageBuffer {
  alignas(nlmsghdr) std::array<std::uint8_t, 1024> bytes{};
};

nlmsghdr* begin_message(MessageBuffer& buffer, std::uint16_t type, std::uint16_t flags) {
  nlmsghdr* const header = mnl_nlmsg_put_header(buffer.bytes.data());
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  return header;
}

template <class Body>
Body* put_body(nlmsghdr* header) {
  return static_cast<Body*>(mnl_nlmsg_put_extra_header(header, sizeof(Body)));
}

std::uint8_t family_number(const wire::IpAddress& ip) { return ip.family == wire::IpFamily::v4 ? AF_INET : AF_INET6; }
std::size_t address_length(const wire::IpAddress& ip) { return ip.family == wire::IpFamily::v4 ? 4 : 16; }

void put_link(nlmsghdr* header, ifinfomsg* body, const VethEnd& end) {
  body->ifi_family = AF_UNSPEC;
  if (!end.arp) {
    body->ifi_flags = IFF_NOARP;
    body->ifi_change = IFF_NOARP;
  }
  mnl_attr_put_strz(header, IFLA_IFNAME, end.name.c_str());
  mnl_attr_put(header, IFLA_ADDRESS, end.mac.size(), end.mac.data());
}

base::Result<int> index_of(const std::string& interface) {
  const unsigned int index = ::if_nametoindex(interface.c_str());
  if (index == 0) return base::fail_errno(base::format({"no interface {}", "没有接口 {}"}, interface));
  return static_cast<int>(index);
}

constexpr std::string_view no_discipline = "noop";

// mnl_attr_cb_t, mnl_cb_t; `data`: std::string.
int keep_discipline(const nlattr* attribute, void* data) {
  if (mnl_attr_get_type(attribute) == IFLA_QDISC && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
    *static_cast<std::string*>(data) = mnl_attr_get_str(attribute);
  return MNL_CB_OK;
}
int read_discipline(const nlmsghdr* link, void* data) {
  return link->nlmsg_type == RTM_NEWLINK ? mnl_attr_parse(link, sizeof(ifinfomsg), keep_discipline, data) : MNL_CB_OK;
}

}  // namespace

base::Result<RtNetlink> RtNetlink::open() {
  base::UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket.valid()) return base::fail_errno({"cannot open an rtnetlink socket", "无法打开 rtnetlink 套接字"});
  return RtNetlink(std::move(socket));
}

base::Status RtNetlink::request(void* message, const base::OwnedText& what, Answer on_answer, void* data) {
  auto* const header = static_cast<nlmsghdr*>(message);
  header->nlmsg_seq = ++sequence_;
  if (::send(socket_.get(), header, header->nlmsg_len, 0) < 0) return base::fail_errno(what);
  std::array<std::uint8_t, 8192> answer;
  while (true) {
    const ssize_t got = ::recv(socket_.get(), answer.data(), answer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail_errno(what);
    const int state = mnl_cb_run(answer.data(), static_cast<std::size_t>(got), sequence_, 0, on_answer, data);
    if (state < 0) return base::fail_errno(what);
    if (state == MNL_CB_STOP) return {};
  }
}

base::Status RtNetlink::add_veth_pair(const VethEnd& here, const VethEnd& there, int there_ns) {
  MessageBuffer buffer;
  nlmsghdr* const header = begin_message(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  put_link(header, put_body<ifinfomsg>(header), here);
  nlattr* const link_info = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, "veth");
  nlattr* const data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
  nlattr* const peer = mnl_attr_nest_start(header, VETH_INFO_PEER);
  put_link(header, put_body<ifinfomsg>(header), there);
  mnl_attr_put_u32(header, IFLA_NET_NS_FD, static_cast<std::uint32_t>(there_ns));
  mnl_attr_nest_end(header, peer);
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, link_info);
  auto made = request(
      header, base::format({"cannot make the veth pair {}, {}", "无法建立 veth 对 {}、{}"}, here.name, there.name));
  // A kind of link that nothing in the kernel knows: rtnl_newlink().
  if (!made && errno == EOPNOTSUPP) made.error().hint = base::how_to_get_module("veth", "CONFIG_VETH");
  return made;
}

base::Status RtNetlink::set_up(const std::string& interface) {
  const auto index = index_of(interface);
  if (!index) return std::unexpected(index.error());
  MessageBuffer buffer;
  nlmsghdr* const header = begin_message(buffer, RTM_NEWLINK, 0);
  auto* const body = put_body<ifinfomsg>(header);
  body->ifi_index = *index;
  body->ifi_flags = IFF_UP;
  body->ifi_change = IFF_UP;
  return request(header, base::format({"cannot set {} up", "无法启用 {}"}, interface));
}

base::Status RtNetlink::await_queueing_discipline(const std::string& interface) {
  constexpr auto pause = std::chrono::milliseconds(1);
  constexpr int most_questions = 5000;
  const auto index = index_of(interface);
  if (!index) return std::unexpected(index.error());
  for (int asked = 0; asked < most_questions; ++asked) {
    MessageBuffer buffer;
    nlmsghdr* const header = begin_message(buffer, RTM_GETLINK, 0);
    put_body<ifinfomsg>(header)->ifi_index = *index;
    std::string discipline(no_discipline);
    if (auto done = request(header, base::format({"cannot ask for {}", "无法查询 {}"}, interface), read_discipline,
                            &discipline);
        !done)
      return done;
    if (discipline != no_discipline) return {};
    std::this_thread::sleep_for(pause);
  }
  return base::fail(base::ErrorKind::system, base::format({"{} is up, but the kernel does not make it ready to send",
                                                           "{} 已启用，但内核没有使其可以发送"},
                                                          interface));
}

base::Status RtNetlink::add_address(const std::string& interface, const wire::IpAddress& ip,
                                    std::uint8_t prefix_length) {
  const auto index = index_of(interface);
  if (!index) return std::unexpected(index.error());
  MessageBuffer buffer;
  nlmsghdr* const header = begin_message(buffer, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  auto* const body = put_body<ifaddrmsg>(header);
  body->ifa_family = family_number(ip);
  body->ifa_prefixlen = prefix_length;
  body->ifa_flags = ip.family == wire::IpFamily::v6 ? IFA_F_NODAD : 0;
  body->ifa_scope = RT_SCOPE_UNIVERSE;
  body->ifa_index = static_cast<std::uint32_t>(*index);
  mnl_attr_put(header, IFA_LOCAL, address_length(ip), ip.bytes.data());
  mnl_attr_put(header, IFA_ADDRESS, address_length(ip), ip.bytes.data());
  return request(
      header, base::format({"cannot give {} the address {}", "无法给 {} 设置地址 {}"}, interface, wire::to_string(ip)));
}

base::Status RtNetlink::add_neighbour(const std::string& interface, const Neighbour& neighbour) {
  const auto index = index_of(interface);
  if (!index) return std::unexpected(index.error());
  MessageBuffer buffer;
  nlmsghdr* const header = begin_message(buffer, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
  auto* const body = put_body<ndmsg>(header);
  body->ndm_family = family_number(neighbour.ip);
  body->ndm_ifindex = *index;
  body->ndm_state = NUD_PERMANENT;
  mnl_attr_put(header, NDA_DST, address_length(neighbour.ip), neighbour.ip.bytes.data());
  mnl_attr_put(header, NDA_LLADDR, neighbour.mac.size(), neighbour.mac.data());
  return request(header, base::format({"cannot tell {} the neighbour {}", "无法告知 {} 邻居 {}"}, interface,
                                      wire::to_string(neighbour.ip)));
}

base::Status disable_offloads(const std::string& interface) {
  // Segmentation first: without checksums the kernel would switch it off by itself, and log that it did.
  constexpr std::uint32_t commands[] = {ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO, ETHTOOL_STXCSUM, ETHTOOL_SRXCSUM};
  ifreq request{};
  if (interface.size() >= sizeof request.ifr_name)
    return base::fail(base::ErrorKind::usage,
                      base::format({"not an interface name: {}", "不是接口名称：{}"}, interface));
  std::memcpy(request.ifr_name, interface.data(), interface.size());
  const base::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid())
    return base::fail_errno(
        base::format({"cannot switch the offloads of {} off", "无法关闭 {} 的卸载功能"}, interface));
  for (const std::uint32_t command : commands) {
    ethtool_value value{.cmd = command, .data = 0};
    request.ifr_data = static_cast<char*>(static_cast<void*>(&value));
    if (::ioctl(socket.get(), SIOCETHTOOL, &request) != 0 && errno != EOPNOTSUPP)
      return base::fail_errno(
          base::format({"cannot switch the offloads of {} off", "无法关闭 {} 的卸载功能"}, interface));
  }
  return {};
}

}  // namespace tcpwhy::lab
