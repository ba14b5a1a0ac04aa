// A scenario as data: what a .tcp file says, before anything runs. docs/SCENARIOS.md is the language's manual;
// lab/language/scenario_parser.h reads it, lab/conductor.h runs it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "recording/recording.h"
#include "tcp/state.h"
#include "wire/segment.h"

namespace tcpwhy::lab {

// Both count from 1; a column is a byte of the line.
struct Position {
  std::uint32_t line = 0, column = 0;
  bool operator==(const Position&) const = default;
};

// Bytes that a call sends: `bytes`, `repeat` times over ("x" * 100000).
struct Payload {
  std::string bytes;
  std::uint32_t repeat = 1;
  [[nodiscard]] std::uint64_t size() const { return std::uint64_t{bytes.size()} * repeat; }
  bool operator==(const Payload&) const = default;
};

// Whom connect() calls: the address of an end, at the port it listens on (0: the one it listens on, 9999 if none).
struct Peer {
  std::string end;
  std::uint16_t port = 0;
  bool operator==(const Peer&) const = default;
};

enum class Disposition : std::uint8_t { default_action, ignore, handle };

// Peer::end of connect(AF_UNSPEC), which dissolves a connection; no end has this name.
inline constexpr std::string_view unspecified_peer = "AF_UNSPEC";
// A pair of Unix sockets has two names: NAME and NAME-peer.
inline constexpr std::string_view peer_suffix = "-peer";

// The calls of the language; each has its row in the table of lab/agents/call.h.
enum class CallId : std::uint8_t {
  socket,
  bind,
  listen,
  accept,
  connect,
  send,
  recv,
  write,
  read,
  shutdown,
  close,
  setsockopt,
  getsockopt,
  poll,
  signal,
  exit,
  kill,
  fork,
  dup,
  exec,
  sendto,
  sendmsg,
  writev,
  sendfile,
  splice,
  fcntl,
  getpeername,
  getsockname,
  setitimer,
  sigprocmask,
  sigtimedwait,
  setrlimit,
  socketpair,
  send_fd,
  recv_fd,
};

// One call with its arguments as written. Which of them mean something is the row's business.
struct CallSpec {
  CallId id = CallId::socket;
  std::string descriptor;     // variable named as first argument; "": the end's latest connection
  std::string passed;         // send_fd: the descriptor that is handed over, as `descriptor`
  Payload payload;            // send, write, ...; setsockopt(TCP_MD5SIG): the key; exec: words, each ended by \0
  std::uint64_t size = 4096;  // recv, read: room for the answer
  std::int32_t flags = 0;     // MSG_*, accept4's SOCK_NONBLOCK
  std::int32_t number = 0;    // backlog, SHUT_*, exit status, poll's timeout in ms, signal number
  std::optional<std::uint16_t> port;  // bind, listen
  Peer peer;                          // connect, sendto, setsockopt(TCP_MD5SIG)
  std::uint16_t option = 0;           // row of calls::socket_options()
  std::vector<std::int32_t> values;   // setsockopt
  Disposition disposition = Disposition::default_action;
  bool operator==(const CallSpec&) const = default;
};

// What a call is expected to do.
struct Expectation {
  enum class Kind : std::uint8_t {
    success,  // nothing was written: anything but -1
    number,   // = 14; = EPIPE and = POLLIN|POLLRDHUP are numbers too
    bytes,    // = "hello"
    error,    // ! EPIPE [SIGPIPE]
    blocks,   // ... : it does not come back now; a later line "WHO ... CALL() = RESULT" has its result
  };
  Kind kind = Kind::success;
  std::int64_t number = 0;
  std::string bytes;
  std::int32_t error = 0;    // errno
  std::vector<int> signals;  // that must come during the call
  std::string text;          // as written: "= 14"; "" for success
  bool operator==(const Expectation&) const = default;
};

// A call of a step: [VARIABLE =] CALL(ARGUMENTS) [EXPECTATION].
struct ExpectedCall {
  Position at;
  CallSpec call;
  std::string variable;  // names the descriptor that the call makes, or the process of fork()
  Expectation expectation;
  bool operator==(const ExpectedCall&) const = default;
};

// Limits on when something happens, counted from the line before: its call's entry, its packet.
struct Bounds {
  std::optional<base::Duration> after, within;
  bool operator==(const Bounds&) const = default;
};

// Calls that one end (a thread of it: "client.reader") makes back to back.
struct CallStep {
  std::string who;
  std::vector<ExpectedCall> calls;  // at least one
  bool operator==(const CallStep&) const = default;
};

// client ... recv() = 0: the result of a call that blocked.
struct ResumeStep {
  std::string who;
  CallId call = CallId::recv;
  Expectation expectation;
  bool operator==(const ResumeStep&) const = default;
};

// client --- SIGPIPE ---; client +++ killed by SIGPIPE +++; client +++ exited with 0 +++
struct ProcessStep {
  enum class Kind : std::uint8_t { signal, killed, exited };
  std::string who;
  Kind kind = Kind::signal;
  int number = 0;  // the signal, or the exit status
  bool operator==(const ProcessStep&) const = default;
};

// wire server > client [F.] length 0
struct WireStep {
  std::string from, to;
  wire::TcpFlags flags;
  std::optional<std::uint32_t> length;
  bool operator==(const WireStep&) const = default;
};

// wire drop client > server: the link loses every packet of this direction from now on; wire pass: no longer.
struct LinkStep {
  bool drop = false;
  std::string from, to;  // hosts; "": both directions
  bool operator==(const LinkStep&) const = default;
};

// wire silent: the calls of the step above sent nothing. wire nothing for 30ms: no packet comes in that time.
struct SilenceStep {
  std::optional<base::Duration> duration;
  bool operator==(const SilenceStep&) const = default;
};

// state server FIN-WAIT-2; state server gone. Waits until it holds.
struct StateStep {
  std::string who;
  std::string descriptor;           // variable; "": the end's latest connection
  std::optional<tcp::State> state;  // absent: "gone", no socket, nor entry, is left
  bool operator==(const StateStep&) const = default;
};

// counter TcpExt.TCPAbortOnData +1; waits until the counter has moved by so much since the scenario began.
struct CounterStep {
  std::string host;  // "": all namespaces together
  std::string name;
  std::int64_t delta = 0;
  bool operator==(const CounterStep&) const = default;
};

// pause 4ms: the experiment's own timing. Never a way to wait for something.
struct PauseStep {
  base::Duration duration{};
  bool operator==(const PauseStep&) const = default;
};

using StepKind =
    std::variant<CallStep, ResumeStep, ProcessStep, WireStep, LinkStep, SilenceStep, StateStep, CounterStep, PauseStep>;

struct Step {
  Position at;
  std::string text;                 // the line without its comment
  std::string note, note_zh;        // comments standing alone above the line: # ..., #zh ...
  std::string comment, comment_zh;  // comments at the end of the line
  Bounds bounds;
  StepKind what;
};

enum class Role : std::uint8_t { main, contrast };

struct Delay {
  std::string from, to;  // "": both directions
  base::Duration one_way{};
  bool operator==(const Delay&) const = default;
};

struct Setting {
  std::string name, value;  // net.ipv4.tcp_fin_timeout, 1
  std::string host;         // link: only there; "": on every host
  Position at;
  bool operator==(const Setting&) const = default;
};

enum class Family : std::uint8_t;  // lab/lab.h

struct Scenario {
  std::string name;   // "2-close/server-closes": the path below scenarios/, without .tcp
  std::string path;   // for messages; "" if it did not come from a file
  std::string text;   // the whole file
  std::string about;  // the comment at its top
  std::string title, title_zh;
  std::vector<int> asks;  // which of the seven questions it helps to answer; may be empty
  Role role = Role::main;
  recording::WireKind wire = recording::WireKind::loopback;
  std::vector<Delay> delays;  // link only
  std::vector<Setting> settings;
  std::optional<Family> family;                         // the only one that the experiment is about
  base::Duration limit = std::chrono::seconds(20);      // of the whole scenario
  base::Duration step_limit = std::chrono::seconds(5);  // of each line
  unsigned attempts =
      1;  // runs at most, until one holds: for experiments whose timing the load of the machine can upset
  std::vector<std::string> ends;                            // "server", "client", in order of appearance
  std::map<std::string, std::vector<std::string>> threads;  // of an end, beyond its first: "client.reader"
  std::map<std::string, std::string> forked_from;           // an end that fork() makes -> its parent
  std::map<std::string, std::string> hosts;                 // link: end -> the end whose host it lives on
  std::vector<Step> steps;
};

// "client.reader" -> "client"; "client" -> "client".
std::string end_of(const std::string& who);

}  // namespace tcpwhy::lab
