#include "observe/socket_facts.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "observe/interface_addresses.h"
#include "trace/holders.h"
#include "trace/mptcp_sockets.h"
#include "trace/proc_text.h"
#include "trace/socket_sampler.h"

namespace tcpwhy::observe {
namespace {

using recording::SocketFacts;
using recording::SocketSnapshot;

// /proc/net/netstat: a line of names, a line of values.
std::optional<std::uint64_t> counter(std::string_view wanted) {
  std::ifstream file("/proc/self/net/netstat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto lines = trace::counter_lines(text, "TcpExt:");
  if (!lines) return std::nullopt;
  const auto name = std::ranges::find(lines->names, wanted);
  if (name == lines->names.end()) return std::nullopt;
  return static_cast<std::uint64_t>(lines->values[static_cast<std::size_t>(name - lines->names.begin())]);
}

}  // namespace

base::Result<SocketFacts> collect_socket_facts() {
  auto sampler = trace::SocketSampler::open();
  if (!sampler) return std::unexpected(std::move(sampler.error()));
  auto sample = sampler->sample();
  if (!sample) return std::unexpected(std::move(sample.error()));
  SocketFacts facts;
  facts.sockets = std::move(sample->sockets);
  facts.complete = sample->complete;
  // A kernel that tells nothing of them leaves their subflows untied.
  if (auto mptcp = trace::sample_mptcp_sockets()) trace::add_mptcp_sockets(std::move(*mptcp), facts.sockets);
  facts.holders = trace::find_socket_holders();
  facts.as_root = ::geteuid() == 0;
  facts.addresses = addresses_here();
  facts.listen_overflows = counter("ListenOverflows");
  facts.listen_drops = counter("ListenDrops");
  std::ifstream range("/proc/sys/net/ipv4/ip_local_port_range");
  if (std::uint32_t low = 0, high = 0; range >> low >> high && high >= low) facts.local_ports = high - low + 1;
  return facts;
}

bool SocketFilter::fits(const SocketSnapshot& socket, const recording::SocketHolders& holders) const {
  const auto is_port = [&](std::uint16_t port) { return socket.local.port == port || socket.remote.port == port; };
  const auto is_host = [&](const wire::IpAddress& host) {
    return socket.local.ip == host.unmapped() || socket.remote.ip == host.unmapped();
  };
  const auto holds = [&](pid_t pid) {
    return std::ranges::any_of(holders.of(socket.inode), [&](const auto& holder) { return holder.pid == pid; });
  };
  return (ports.empty() || std::ranges::any_of(ports, is_port)) &&
         (hosts.empty() || std::ranges::any_of(hosts, is_host)) && (pids.empty() || std::ranges::any_of(pids, holds));
}

void apply(const SocketFilter& filter, SocketFacts& facts) {
  if (filter.empty()) return;
  const auto others = std::ranges::stable_partition(
      facts.sockets, [&](const SocketSnapshot& socket) { return filter.fits(socket, facts.holders); });
  facts.asked_for = facts.sockets.size() - others.size();
}

}  // namespace tcpwhy::observe
