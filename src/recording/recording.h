// A recording: the events of one observation, the only thing that passes from collecting to analysing.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include "recording/event.h"
#include "recording/observation.h"
#include "wire/packet.h"

namespace tcpwhy::recording {

// A process (and thread) that makes calls: an end of a connection, as the scenario or the trace names it.
struct Actor {
  std::string name;               // "server", "client"
  std::int32_t pid = 0, tid = 0;  // as the initial pid namespace of the observer shows them
  std::string command;            // comm
  std::string host;               // network namespace, where there are several: "client"; else empty
  bool operator==(const Actor&) const = default;
};

struct Interface {
  wire::LinkType link_type = wire::LinkType::ethernet;
  std::uint32_t snap_length = 0;  // 0: no limit
  std::string name;               // "lo"
  std::string description;
  std::string host;                   // the end whose namespace this tap stands in; empty if both ends share it
  std::uint8_t timestamp_digits = 9;  // resolution 10^-digits s (of the file it came from)
  bool operator==(const Interface&) const = default;
};

enum class WireKind : std::uint8_t { unknown, loopback, link };

// What was recorded, where, and what could be observed.
struct Provenance {
  std::string title;         // the scenario's name, "close/server-closes"; empty for a plain capture
  std::string scenario;      // the scenario's text, so that a recording explains itself; may be empty
  std::string host, kernel;  // "Linux 6.18.44"
  std::string program;       // "tcpwhy 0.1.0", or what the capture file says (shb_userappl)
  WireKind wire = WireKind::unknown;
  Observations observed;
  std::map<std::string, std::string> labels;    // the scenario's headers: title, title.zh, asks, ...
  std::map<std::string, std::string> settings;  // what was set for it: sysctls, the link's one-way delay, ...
  std::vector<std::string> comments;            // other section comments of a capture
  // The programs' calls were seen, by whatever means.
  [[nodiscard]] bool has_calls() const {
    using enum Observation;
    return std::ranges::any_of(std::array{calls, calls_bpf, calls_ptrace, calls_strace},
                               [this](Observation means) { return observed.contains(means); });
  }
  bool operator==(const Provenance&) const = default;
};

struct Recording {
  Provenance provenance;
  std::vector<Interface> interfaces;
  std::vector<Actor> actors;
  std::vector<Event> events;  // in order of `at`; of the same time, in the order in which they were collected

  [[nodiscard]] const Event& operator[](EventId id) const { return events[id.value]; }
  bool operator==(const Recording&) const = default;
};

// Puts events in order of time (stable) and renumbers every EventId inside them. Collectors call it once, at the end.
void sort_by_time(Recording& recording);

// Strace's line of it (calls/spelling/line.h), escaped; `returned`: the entry's CallReturned; null if it never came back.
std::string call_line(const CallEntered& entered, const CallReturned* returned);
// What stands behind its closing parenthesis: " = 5", " = -1 EPIPE (Broken pipe)", " = 1 (POLLIN)". Safe for a terminal.
std::string call_result(const CallEntered& entered, const CallReturned& returned);
// One line for any event but a packet (empty for that): MESSAGE of the journal block and the row of the timeline,
// without the name of the actor. Escaped. A call's entry reads as unfinished, its return as the whole line. Signals and
// ends as strace has them: --- SIGPIPE ---, +++ killed by SIGPIPE +++, +++ exited with 0 +++.
std::string message(const Recording& recording, const Event& event);
// The same for a caller that knows the entry of a CallReturned already (null: not recorded) and need not search for it.
std::string message(const Event& event, const CallEntered* entered);

}  // namespace tcpwhy::recording
