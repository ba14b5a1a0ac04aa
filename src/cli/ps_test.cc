// tcpwhy ps on the kernel: what is wrong is seen, and who holds it.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "explain/rules/sockets.h"
#include "lab/link/netns.h"
#include "lab/sandbox/sandbox_sockets_testing.h"
#include "lab/sandbox/sandbox_testing.h"
#include "observe/socket_facts.h"

namespace tcpwhy::cli {
namespace {

using lab::testing::accept_from;
using lab::testing::connect_to;
using lab::testing::listen_on;

const wire::IpAddress localhost = *wire::IpAddress::parse("127.0.0.1");

base::Status bring_up() {
  if (auto applied = lab::apply_sysctls(lab::standard_sysctls()); !applied) return std::unexpected(applied.error());
  return lab::set_interface_up("lo");
}

const explain::SocketFinding* find(const explain::SocketsVerdict& verdict, std::string_view id) {
  const auto found = std::ranges::find(verdict.findings, id, [](const auto& finding) { return finding.rule->id; });
  return found == verdict.findings.end() ? nullptr : &*found;
}

// A close that the other side does not answer in kind, a queue that nobody empties, a window that nobody opens, a half-closed
// connection: all at once, and the process and descriptor of each.
TEST(PsLive, sees_what_is_wrong_and_who_holds_it) {
  TCPWHY_SKIP_WITHOUT_SANDBOX();
  lab::testing::expect_inside([](lab::Workplace&) -> base::Result<lab::Bytes> {
    TCPWHY_INSIDE_OK(bring_up());
    const auto listener = listen_on(localhost, 9999);
    auto closed = connect_to(localhost, 9999);
    const auto left = accept_from(listener);
    const auto waiting = connect_to(localhost, 9999);
    const auto lazy = listen_on(localhost, 9998);
    const auto writer = connect_to(localhost, 9998);
    const auto reader = accept_from(lazy);
    const auto third = listen_on(localhost, 9997);
    const auto half = connect_to(localhost, 9997);
    const auto other = accept_from(third);
    TCPWHY_INSIDE(left.valid() && waiting.valid() && reader.valid() && other.valid());
    closed.reset();
    ::shutdown(half.get(), SHUT_WR);
    std::vector<char> block(1 << 20, 'x');
    while (::send(writer.get(), block.data(), block.size(), MSG_DONTWAIT) > 0) {
    }
    // The window shuts when the last acknowledgment has come, the probe timer starts with it.
    explain::SocketsVerdict verdict;
    recording::SocketFacts facts;
    for (int tries = 0; tries < 2000; ++tries) {
      auto collected = observe::collect_socket_facts();
      TCPWHY_INSIDE_OK(collected);
      facts = std::move(*collected);
      verdict = explain::judge(facts);
      if (find(verdict, "window_shut") != nullptr && find(verdict, "half_closed") != nullptr) break;
      usleep(5000);
    }
    const explain::SocketFinding* leak = find(verdict, "close_wait");
    TCPWHY_INSIDE(leak != nullptr);
    TCPWHY_INSIDE(find(verdict, "accept_queue_waits") != nullptr);
    TCPWHY_INSIDE(find(verdict, "window_shut") != nullptr);
    TCPWHY_INSIDE(find(verdict, "half_closed") != nullptr);
    const auto& holders = facts.holders.of(facts.sockets[leak->socket].inode);
    TCPWHY_INSIDE(std::ranges::any_of(
        holders, [&](const auto& holder) { return holder.fd == left.get() || holder.fd == other.get(); }));
    return lab::Bytes{};
  });
}

TEST(PsLive, a_full_accept_queue_is_an_error) {
  TCPWHY_SKIP_WITHOUT_SANDBOX();
  lab::testing::expect_inside([](lab::Workplace&) -> base::Result<lab::Bytes> {
    TCPWHY_INSIDE_OK(bring_up());
    const auto listener = listen_on(localhost, 9999);
    TCPWHY_INSIDE(::listen(listener.get(), 0) == 0);
    const auto waiting = connect_to(localhost, 9999);
    auto facts = observe::collect_socket_facts();
    TCPWHY_INSIDE_OK(facts);
    TCPWHY_INSIDE(find(explain::judge(*facts), "accept_queue_full") != nullptr);
    return lab::Bytes{};
  });
}

}  // namespace
}  // namespace tcpwhy::cli
