// The experiment by hand, scripted: two processes of ours, in a sandbox's loopback.
#include "lab/agents/by_hand.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <sstream>

#include "calls/call.h"
#include "lab/agents/call.h"
#include "lab/link/netns.h"
#include "lab/sandbox/sandbox.h"

namespace tcpwhy::lab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// One end: what it printed so far, and a pipe to type into.
class End {
 public:
  End(bool server, std::uint16_t port) {
    std::array<int, 2> in{}, out{};
    if (pipe(in.data()) != 0 || pipe(out.data()) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      // As a shell would start it: 0 and 1, and nothing else that the experiment's descriptors could meet.
      dup2(in[0], 0);
      dup2(out[1], 1);
      close_range(3, ~0U, 0);
      const Terminal terminal{.in = fdopen(0, "r"), .out = fdopen(1, "w"), .language = base::Language::en};
      const wire::SocketAddress address{*wire::IpAddress::parse("127.0.0.1"), port};
      const auto done = server ? serve_by_hand(address, terminal) : connect_by_hand(address, terminal);
      _exit(done ? 0 : 4);
    }
    close(in[0]);
    close(out[1]);
    type_ = fdopen(in[1], "w");
    read_ = fdopen(out[0], "r");
  }

  void type(const std::string& line) {
    std::fprintf(type_, "%s\n", line.c_str());
    std::fflush(type_);
  }
  // The next line that it prints.
  std::string line() {
    std::array<char, 1024> text{};
    if (!std::fgets(text.data(), text.size(), read_)) return "(end)";
    std::string line = text.data();
    if (line.ends_with('\n')) line.pop_back();
    return line;
  }
  int end() {
    std::fclose(type_);
    int status = 0;
    waitpid(pid_, &status, 0);
    std::fclose(read_);
    return status;
  }

 private:
  pid_t pid_ = -1;
  std::FILE* type_ = nullptr;
  std::FILE* read_ = nullptr;
};

std::string original_experiment() {
  std::string said;
  const auto say = [&said](const std::string& line) { said += line + "\n"; };
  End server(true, 9999);
  for (int i = 0; i < 4; ++i) say(server.line());
  End client(false, 9999);
  say(client.line());
  say(client.line());
  server.type("accept");
  server.line();
  client.type("send hello, server!");
  say(client.line());
  server.type("recv");
  say(server.line());
  server.type("close");
  say(server.line());
  server.type("send again");
  say(server.line());
  client.type("recv");
  say(client.line());
  client.type("nonsense");
  say(client.line());
  client.type("send one");
  say(client.line());
  client.type("send two");
  say(client.line());
  const int status = client.end();
  say(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE ? "killed by SIGPIPE" : "still alive");
  say(server.end() == 0 ? "server went well" : "server failed");
  return said;
}

TEST(ByHand, the_original_experiment_in_two_scripts) {
  if (const auto available = sandbox_available(); !available) GTEST_SKIP() << available.error().message.en;
  auto sandbox =
      Sandbox::start({.name = "by hand", .wall_limit = std::chrono::seconds(20), .keep_fds = {}, .on_progress = {}},
                     [](Workplace&) -> base::Result<Bytes> {
                       if (const auto up = set_interface_up("lo"); !up) return std::unexpected(up.error());
                       const std::string said = original_experiment();
                       return Bytes(said.begin(), said.end());
                     });
  ASSERT_TRUE(sandbox) << sandbox.error().message.en;
  const auto result = sandbox->wait();
  ASSERT_TRUE(result) << result.error().message.en;
  std::istringstream said(std::string(result->begin(), result->end()));
  std::vector<std::string> lines;
  for (std::string line; std::getline(said, line);) lines.push_back(line);
  EXPECT_THAT(
      lines,
      ElementsAre("socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3", "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0",
                  StartsWith("bind(3, {sa_family=AF_INET, sin_port=htons(9999)"), "listen(3, 128) = 0",
                  "socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3", StartsWith("connect(3, {sa_family=AF_INET"),
                  "send(3, \"hello, server!\", 14, 0) = 14", "recv(4, \"hello, server!\", 4096, 0) = 14",
                  "close(4) = 0", "send(4, \"again\", 5, 0) = -1 EBADF (Bad file descriptor)",
                  "recv(3, \"\", 4096, 0) = 0", HasSubstr("no such command: nonsense"), "send(3, \"one\", 3, 0) = 3",
                  "send(3, \"two\", 3, 0",  // the call that it never came back from
                  "killed by SIGPIPE", "server went well"));
}

TEST(ByHand, addresses_to_listen_on) {
  const auto spelled = [](std::string_view text) {
    const auto address = parse_listen_address(text);
    return address ? wire::to_string(*address) : "usage";
  };
  EXPECT_EQ(spelled("9998"), "0.0.0.0:9998");
  EXPECT_EQ(spelled("127.0.0.1"), "127.0.0.1:9999");
  EXPECT_EQ(spelled("127.0.0.1:80"), "127.0.0.1:80");
  EXPECT_EQ(spelled("[::1]:80"), "[::1]:80");
  EXPECT_EQ(spelled("::1"), "[::1]:9999");
  EXPECT_EQ(spelled("0"), "usage");
  EXPECT_EQ(spelled("65536"), "usage");
  EXPECT_EQ(spelled("host:80"), "usage");
  EXPECT_EQ(find_host("127.0.0.1", 80)->port, 80);
  EXPECT_FALSE(find_host("no-such-host.invalid", 80));
}

TEST(CallTable, has_only_calls_that_are_known_for_what_they_do) {
  for (const CallRow& row : call_table()) EXPECT_NE(calls::find_call(row.recorded_name), nullptr) << row.recorded_name;
}

}  // namespace
}  // namespace tcpwhy::lab
