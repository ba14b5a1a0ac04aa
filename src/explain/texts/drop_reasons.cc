#include "explain/texts/drop_reasons.h"

#include <algorithm>
#include <iterator>

namespace tcpwhy::explain {
namespace {

using enum DropKind;
using base::Text;

constexpr Text netfilter{"a netfilter rule (nftables, iptables)", "netfilter 规则（nftables、iptables）"};
constexpr Text see_qdisc{"tc -s qdisc", "tc -s qdisc"};
constexpr Text see_neighbours{"ip neigh; ip -s link", "ip neigh；ip -s link"};
constexpr Text no_neighbour{"no neighbour answered for that address (ARP, neighbour discovery)",
                            "该地址没有邻居应答（ARP、邻居发现）"};
constexpr Text a_discipline{"a queueing discipline had no room", "排队规则没有空间"};
constexpr Text checksum{"its checksum was wrong", "校验和有误"};
constexpr Text see_checksum{"the device's offloads: ethtool -k, tcpdump -vv at both ends",
                            "设备的卸载功能：ethtool -k，两端 tcpdump -vv"};

constexpr DropReason table[] = {
    {"NOT_SPECIFIED", no_news},
    {"QUEUE_PURGE", no_news},
    {"TCP_RESET", no_news},
    {"TCP_OLD_SEQUENCE", no_news},
    {"TCP_OLD_DATA", no_news},
    {"CONSUMED", no_news},
    {"NO_SOCKET", no_socket, {"no socket was there to take it", "没有套接字可接收它"}, {"ss -tan", "ss -tan"}},
    {"TCP_LISTEN_OVERFLOW",
     accept_queue,
     {"the accept queue was full", "accept 队列已满"},
     {"who does not accept: ss -ltnp, tcpwhy ps", "是谁没有 accept：ss -ltnp、tcpwhy ps"}},
    {"TCP_MD5NOTFOUND", signature},
    {"TCP_MD5UNEXPECTED", signature},
    {"TCP_MD5FAILURE", signature},
    {"TCP_AONOTFOUND", signature},
    {"TCP_AOUNEXPECTED", signature},
    {"TCP_AOKEYNOTFOUND", signature},
    {"TCP_AOFAILURE", signature},
    {"NETFILTER_DROP", firewall, netfilter, {"nft list ruleset, iptables-save", "nft list ruleset、iptables-save"}},
    {"BPF_CGROUP_EGRESS",
     firewall,
     {"a BPF program of the sender's cgroup", "发送方 cgroup 的 BPF 程序"},
     {"bpftool cgroup tree", "bpftool cgroup tree"}},
    {"TC_INGRESS",
     firewall,
     {"a filter of tc", "tc 过滤器"},
     {"tc filter show dev DEVICE ingress", "tc filter show dev 设备 ingress"}},
    {"TC_EGRESS",
     firewall,
     {"a filter of tc", "tc 过滤器"},
     {"tc filter show dev DEVICE egress", "tc filter show dev 设备 egress"}},
    {"XDP", firewall, {"an XDP program", "XDP 程序"}, {"bpftool net", "bpftool net"}},
    {"SECURITY_HOOK",
     firewall,
     {"a security module (SELinux, AppArmor, ...)", "安全模块（SELinux、AppArmor 等）"},
     {"the audit log", "审计日志"}},
    {"SOCKET_FILTER",
     firewall,
     {"a filter of the receiving socket (SO_ATTACH_FILTER), of its cgroup or of a security module",
      "接收套接字的过滤器（SO_ATTACH_FILTER）、其 cgroup 或安全模块的过滤器"},
     {"bpftool cgroup tree, the audit log", "bpftool cgroup tree、审计日志"}},
    {"IP_RPFILTER",
     firewall,
     {"the check of the way back (rp_filter)", "反向路径检查（rp_filter）"},
     {"sysctl -a | grep rp_filter, ip route get SOURCE", "sysctl -a | grep rp_filter、ip route get 源地址"}},
    {"XFRM_POLICY", firewall, {"an IPsec policy", "IPsec 策略"}, {"ip xfrm policy", "ip xfrm policy"}},
    {"QDISC_DROP", resource, a_discipline, see_qdisc},
    {"QDISC_OVERLIMIT", resource, a_discipline, see_qdisc},
    {"QDISC_CONGESTED", resource, a_discipline, see_qdisc},
    {"NEIGH_FAILED", resource, no_neighbour, see_neighbours},
    {"NEIGH_CREATEFAIL", resource, no_neighbour, see_neighbours},
    {"NEIGH_QUEUEFULL", resource, no_neighbour, see_neighbours},
    {"NEIGH_DEAD", resource, no_neighbour, see_neighbours},
    {"IP_OUTNOROUTES",
     resource,
     {"there is no route to that address", "没有到该地址的路由"},
     {"ip route get ADDRESS", "ip route get 地址"}},
    {"CPU_BACKLOG",
     resource,
     {"the processor's queue of arriving packets was full", "处理器的接收队列已满"},
     {"net.core.netdev_max_backlog, /proc/net/softnet_stat", "net.core.netdev_max_backlog、/proc/net/softnet_stat"}},
    {"SOCKET_RCVBUFF",
     resource,
     {"the receive buffer was full", "接收缓冲区已满"},
     {"who does not read; net.ipv4.tcp_rmem, SO_RCVBUF", "是谁没有读取；net.ipv4.tcp_rmem、SO_RCVBUF"}},
    {"SOCKET_BACKLOG",
     resource,
     {"the socket's backlog was full", "套接字的 backlog 已满"},
     {"who does not read; net.ipv4.tcp_rmem, SO_RCVBUF", "是谁没有读取；net.ipv4.tcp_rmem、SO_RCVBUF"}},
    {"PROTO_MEM",
     resource,
     {"TCP's memory was used up", "TCP 的内存已用尽"},
     {"net.ipv4.tcp_mem, /proc/net/sockstat", "net.ipv4.tcp_mem、/proc/net/sockstat"}},
    {"NOMEM", resource, {"there was no memory", "没有内存"}, {"free -h, dmesg", "free -h、dmesg"}},
    {"TCP_CSUM", resource, checksum, see_checksum},
    {"IP_CSUM", resource, checksum, see_checksum},
    {"SKB_CSUM", resource, checksum, see_checksum},
    {"TCP_ZEROWINDOW", resource, {"the window was shut", "窗口已关闭"}, {"who does not read", "是谁没有读取"}},
    {"TCP_RFC7323_PAWS",
     resource,
     {"its timestamp was older than the last one (PAWS)", "其时间戳早于上一个（PAWS）"},
     {"two hosts behind one translated address", "同一个转换地址之后的两台主机"}},
};

constexpr DropReason without_row{};

}  // namespace

const DropReason& drop_reason(std::string_view reason) {
  const auto* row = std::ranges::find(table, reason, &DropReason::reason);
  return row == std::end(table) ? without_row : *row;
}

}  // namespace tcpwhy::explain
