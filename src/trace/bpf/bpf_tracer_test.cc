// The probe on the running kernel; skipped, with the reason, where it cannot be loaded.
#include "trace/bpf/bpf_tracer.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>

namespace tcpwhy::trace {
namespace {

using namespace recording;

// Runs a command to its end under the probe.
base::Result<Recording> trace_command(const std::vector<std::string>& command, const BpfOptions& options,
                                      int* status = nullptr) {
  auto tracer = open_bpf({.command = command, .pids = {}}, options);
  if (!tracer) return std::unexpected(tracer.error());
  Recording recording;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!(*tracer)->finished() && std::chrono::steady_clock::now() < deadline) {
    pollfd waiting{.fd = (*tracer)->fd(), .events = POLLIN, .revents = 0};
    poll(&waiting, 1, 1000);
    if (auto drained = (*tracer)->drain(recording); !drained) return std::unexpected(drained.error());
  }
  if (!(*tracer)->finished())
    return base::fail(base::ErrorKind::system, base::both("the trace goes on after its command's end"));
  if (auto stopped = (*tracer)->stop(recording); !stopped) return std::unexpected(stopped.error());
  if (status != nullptr) *status = (*tracer)->command_status().value_or(-1);
  return recording;
}

#define NEEDS_BPF(result) \
  if (!(result) && (result).error().kind == base::ErrorKind::privilege) GTEST_SKIP() << (result).error().message.en

// A server and a client in one process, over loopback; the client's close leaves data unread.
const std::string two_ends = R"(
import socket
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(4)
c = socket.socket(); c.connect(l.getsockname())
s, _ = l.accept()
s.send(b"hello")
c.close()
try:
    s.recv(10)
except ConnectionResetError:
    raise SystemExit(7)
)";

template <class Kind>
std::vector<const Kind*> all(const Recording& recording) {
  std::vector<const Kind*> found;
  for (const Event& event : recording.events)
    if (const auto* one = std::get_if<Kind>(&event.what)) found.push_back(one);
  return found;
}

// Null: there is none.
const CallEntered* first_call(const Recording& recording, std::string_view name) {
  const auto calls = all<CallEntered>(recording);
  const auto found = std::ranges::find(calls, name, &CallEntered::name);
  return found == calls.end() ? nullptr : *found;
}

TEST(BpfTracer, tells_the_cause_of_each_segment_and_why_the_reset_was_sent) {
  int status = 0;
  const auto traced = trace_command({"python3", "-c", two_ends}, {}, &status);
  NEEDS_BPF(traced);
  ASSERT_TRUE(traced) << traced.error().message.en;
  EXPECT_EQ(WEXITSTATUS(status), 7);
  std::vector<std::string> causes;
  for (const SegmentCause* cause : all<SegmentCause>(*traced))
    causes.push_back(wire::to_string(cause->flags) + " " + cause->name);
  EXPECT_EQ(causes, (std::vector<std::string>{"S connect", "S. segment.syn", ". segment.arrived", "P. send",
                                              ". segment.arrived", "R. close.unread_data"}));
  const auto resets = all<Reset>(*traced);
  const auto sent = std::ranges::find_if(resets, [](const Reset* reset) { return reset->sent; });
  ASSERT_NE(sent, resets.end());
  EXPECT_TRUE((*sent)->active);
  if (!(*sent)->reason.empty()) {
    EXPECT_EQ((*sent)->reason, "TCP_ABORT_ON_CLOSE");
  }
  const auto errors = all<SocketError>(*traced);
  EXPECT_TRUE(std::ranges::any_of(errors, [](const SocketError* error) { return error->error == ECONNRESET; }));
}

TEST(BpfTracer, ties_segments_resets_and_calls_to_one_socket_by_its_cookie) {
  const auto traced = trace_command({"python3", "-c", two_ends}, {});
  NEEDS_BPF(traced);
  ASSERT_TRUE(traced) << traced.error().message.en;
  const CallEntered* const connect = first_call(*traced, "connect");
  ASSERT_NE(connect, nullptr);
  EXPECT_NE(connect->socket, 0U);
  for (const SegmentCause* cause : all<SegmentCause>(*traced)) {
    if (cause->name != "connect" && cause->name != "close.unread_data") continue;
    EXPECT_EQ(cause->socket, connect->socket) << cause->name;
    EXPECT_TRUE(cause->call.has_value()) << cause->name;
  }
}

TEST(BpfTracer, names_the_program_s_own_functions_after_it_has_ended) {
  const auto traced = trace_command({"python3", "-c", two_ends}, {});
  NEEDS_BPF(traced);
  ASSERT_TRUE(traced) << traced.error().message.en;
  const CallEntered* const connect = first_call(*traced, "connect");
  ASSERT_NE(connect, nullptr);
  EXPECT_EQ(connect->stack.rfind("0x", 0), std::string::npos) << connect->stack;  // no bare address
  EXPECT_FALSE(connect->stack.empty());
}

// recv() is told at its return. One that does not return is told all the same: at the process's end, or at the trace's.
TEST(BpfTracer, tells_a_call_that_never_returns) {
  const std::string waits = two_ends.substr(0, two_ends.find("s.send")) + "print(flush=True)\ns.recv(10)\n";
  const auto is_recv = [](const CallEntered* call) { return call->name == "recvfrom"; };
  int output[2];
  ASSERT_EQ(pipe(output), 0);
  const std::string to_pipe = "import os; os.dup2(" + std::to_string(output[1]) + ", 1)\n";
  auto tracer = open_bpf({.command = {"python3", "-c", to_pipe + waits}, .pids = {}}, {});
  NEEDS_BPF(tracer);
  ASSERT_TRUE(tracer) << tracer.error().message.en;
  close(output[1]);
  char byte = 0;
  ASSERT_EQ(read(output[0], &byte, 1), 1);  // it is about to wait
  Recording recording;
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  ASSERT_TRUE((*tracer)->drain(recording));
  ASSERT_TRUE((*tracer)->stop(recording));
  close(output[0]);
  const auto entered = all<CallEntered>(recording);
  const auto waiting = std::ranges::find_if(entered, is_recv);
  ASSERT_NE(waiting, entered.end());
  EXPECT_NE((*waiting)->socket, 0U);
  for (const CallReturned* returned : all<CallReturned>(recording)) EXPECT_NE(returned->call, (*waiting)->call);
  const auto process = std::ranges::find_if(recording.actors, [](const Actor& actor) { return actor.pid > 0; });
  ASSERT_NE(process, recording.actors.end());
  kill(process->pid, SIGKILL);
}

// Not by the clock: what makes a program dear is that the verifier walks through the same piece of it again and again, once for each way
// there. Pieces that are called from several places are global functions, and loops call one.
TEST(Probe, programs_are_such_that_the_verifier_is_soon_done_with_them) {
  auto probe = Probe::open(probe_of_trace());
  NEEDS_BPF(probe);
  ASSERT_TRUE(probe) << probe.error().message.en;
  std::uint32_t sum = 0;
  for (const auto& [program, count] : probe->verified_instructions()) {
    EXPECT_LT(count, 15'000U) << program;
    sum += count;
  }
  EXPECT_LT(sum, 90'000U);
}

TEST(BpfTracer, counts_what_does_not_fit_into_a_tiny_ring) {
  const std::string many = two_ends.substr(0, two_ends.find("s, _")) +
                           "s, _ = l.accept()\nfor i in range(5000): s.send(b'x' * 100); c.recv(100)\n";
  const auto traced = trace_command({"python3", "-c", many}, {.ring_bytes = 4096});
  NEEDS_BPF(traced);
  ASSERT_TRUE(traced) << traced.error().message.en;
  const auto losses = all<Loss>(*traced);
  const auto full = std::ranges::find_if(
      losses, [](const Loss* loss) { return loss->why.find("ring buffer was full") != std::string::npos; });
  ASSERT_NE(full, losses.end());
  EXPECT_GT((*full)->count, 0U);
}

// More than have places of their own, so that some are known by the hash: each keeps its own addresses and its own end.
TEST(BpfTracer, tells_many_connections_at_a_time_apart) {
  constexpr std::size_t connections = 400;
  const std::string many = R"(
import socket
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(8)
pairs = []
for i in range(400):
    c = socket.create_connection(l.getsockname())
    pairs.append((c, l.accept()[0]))
for c, s in pairs: s.send(b"x"); c.recv(1)
for c, s in pairs: s.close(); c.close()
)";
  const auto traced = trace_command({"python3", "-c", many}, {});
  NEEDS_BPF(traced);
  ASSERT_TRUE(traced) << traced.error().message.en;
  EXPECT_TRUE(all<Loss>(*traced).empty() || all<Loss>(*traced).front()->what == "stacks");
  struct SocketEvents {
    std::set<std::pair<std::uint16_t, std::uint16_t>> ports;
    std::multiset<tcp::State> states;
    std::size_t segments = 0;
  };
  std::map<std::uint64_t, SocketEvents> sockets;
  for (const SocketState* state : all<SocketState>(*traced)) {
    SocketEvents& told = sockets[state->socket];
    told.states.insert(state->to);
    if (state->to == tcp::State::established || state->to == tcp::State::fin_wait_1 ||
        state->to == tcp::State::fin_wait_2)
      told.ports.emplace(state->local.port, state->remote.port);
  }
  for (const SegmentCause* cause : all<SegmentCause>(*traced)) {
    if (cause->flags.syn() && cause->flags.ack()) continue;  // a request's
    SocketEvents& told = sockets[cause->socket];
    ++told.segments;
    if (cause->local && cause->remote) told.ports.emplace(cause->local->port, cause->remote->port);
  }
  std::size_t opened = 0, closed_first = 0;
  for (const auto& [socket, told] : sockets) {
    if (!told.states.contains(tcp::State::established)) continue;
    ++opened;
    EXPECT_EQ(told.ports.size(), 1U) << socket;
    EXPECT_EQ(told.states.count(tcp::State::established), 1U) << socket;
    EXPECT_GE(told.segments, 2U) << socket;
    closed_first += told.states.contains(tcp::State::fin_wait_1);
  }
  EXPECT_EQ(opened, 2 * connections);
  EXPECT_EQ(closed_first, connections);
}

TEST(BpfTracer, tells_a_socket_that_connects_anew_with_its_new_addresses) {
  const std::string anew = R"(
import ctypes, socket
a = socket.socket(); a.bind(("127.0.0.1", 0)); a.listen(4)
b = socket.socket(); b.bind(("127.0.0.2", 0)); b.listen(4)
c = socket.socket(); c.connect(a.getsockname())
s, _ = a.accept(); s.send(b"x"); c.recv(1)
assert ctypes.CDLL(None).connect(c.fileno(), bytes(16), 16) == 0
c.connect(b.getsockname())
t, _ = b.accept(); t.send(b"y"); c.recv(1); c.send(b"z")
)";
  const auto traced = trace_command({"python3", "-c", anew}, {});
  NEEDS_BPF(traced);
  ASSERT_TRUE(traced) << traced.error().message.en;
  const CallEntered* const connect = first_call(*traced, "connect");
  ASSERT_NE(connect, nullptr);
  std::vector<std::string> there;
  for (const SocketState* state : all<SocketState>(*traced))
    if (state->socket == connect->socket && state->to == tcp::State::established)
      there.push_back(wire::to_string(state->remote.ip));
  EXPECT_EQ(there, (std::vector<std::string>{"127.0.0.1", "127.0.0.2"}));
  std::string last;
  for (const SegmentCause* cause : all<SegmentCause>(*traced))
    if (cause->socket == connect->socket && cause->length == 1 && cause->remote)
      last = wire::to_string(cause->remote->ip);
  EXPECT_EQ(last, "127.0.0.2");
}

// Resets of the whole namespace are counted, by the kernel and by the probe: other programs' make no difference.
TEST(BpfTracer, holds_what_it_saw_against_the_kernel_s_own_counters) {
  const auto of_resets = [](const Recording& recording) {
    const Loss* found = nullptr;
    for (const Loss* loss : all<Loss>(recording))
      if (loss->what == "resets sent") found = loss;
    return found;
  };
  const auto whole = trace_command({"python3", "-c", two_ends}, {});
  NEEDS_BPF(whole);
  ASSERT_TRUE(whole) << whole.error().message.en;
  EXPECT_EQ(of_resets(*whole), nullptr);
  // Before Linux 6.10 they are counted as they leave.
  const auto blind = trace_command({"python3", "-c", two_ends},
                                   {.without = {"on_reset_sent", "on_reset_sent_without_reason", "on_segment"}});
  ASSERT_TRUE(blind) << blind.error().message.en;
  EXPECT_TRUE(std::ranges::none_of(all<Reset>(*blind), [](const Reset* reset) { return reset->sent; }));
  const Loss* const missed = of_resets(*blind);
  ASSERT_NE(missed, nullptr);
  EXPECT_GE(missed->count, 1U);
  EXPECT_NE(missed->why.find("Tcp.OutRsts"), std::string::npos) << missed->why;
}

TEST(BpfTracer, follows_forks_execs_and_deaths) {
  int status = 0;
  const auto traced = trace_command({"sh", "-c", "for i in 1 2 3; do /bin/true; done; kill -9 $$"}, {}, &status);
  NEEDS_BPF(traced);
  ASSERT_TRUE(traced) << traced.error().message.en;
  EXPECT_TRUE(WIFSIGNALED(status));
  int killed = 0, exited = 0;
  for (const ProcessEnded* ended : all<ProcessEnded>(*traced)) ended->signal == "SIGKILL" ? ++killed : ++exited;
  // The kernel may skip a program that is running already on that processor: that is counted, never silent.
  std::uint64_t lost = 0;
  for (const Loss* loss : all<Loss>(*traced)) lost += loss->count;
  EXPECT_GE(static_cast<std::uint64_t>(killed) + lost, 1U);
  EXPECT_LE(killed, 1);
  EXPECT_GE(static_cast<std::uint64_t>(exited) + lost, 3U);
  EXPECT_LE(exited, 3);
}

TEST(BpfTracer, says_that_a_command_is_not_there) {
  const auto opened = open_bpf({.command = {"/nonexistent/program"}, .pids = {}}, {});
  NEEDS_BPF(opened);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, base::ErrorKind::usage);
}

}  // namespace
}  // namespace tcpwhy::trace
