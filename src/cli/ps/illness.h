// What `tcpwhy ps` finds wrong with the sockets of this moment. Pure but for collect(): facts in, statements out.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/language.h"
#include "base/result.h"
#include "explain/finding.h"
#include "trace/holders.h"
#include "trace/socket_sampler.h"

namespace tcpwhy::cli::ps {

using Words = base::OwnedText;
using explain::Severity;
using Milliseconds = std::chrono::duration<std::int64_t, std::milli>;

// The sockets of a network namespace, who holds them, and what else decides whether they are well.
struct Facts {
  std::vector<trace::SocketSnapshot> sockets;
  bool complete = true;  // false: the tables changed under the dump
  trace::SocketHolders holders;
  bool as_root = false;  // who looked for them: a process may be no longer there, or be kept from root too
  // TcpExt counters since the namespace began; nothing where they cannot be read.
  std::optional<std::uint64_t> listen_overflows, listen_drops;
  // net.ipv4.ip_local_port_range: how many ports connect() can choose from.
  std::uint32_t local_ports = 28232;
};
base::Result<Facts> collect();

enum class Kind : std::uint8_t {
  close_wait,          // the peer has closed, this program has not
  accept_queue_full,   // connections wait for accept(), and no more are let in
  accept_queue_waits,  // connections wait for accept()
  orphan_unacked,      // closed by its program, its last bytes unacknowledged
  window_shut,         // the peer does not take more: its program does not read
  not_read,            // this program does not read
  retransmitting,      // the peer does not answer
  connecting,          // SYNs without an answer
  half_closed,         // this program has shut down its sending half, the peer goes on
};
struct KindRow {
  Kind kind;
  std::string_view id;  // "close_wait", as JSON has it
  std::string_view what_to_do_en, what_to_do_zh;
};
const KindRow& row_of(Kind kind);

// One socket, and one thing that is wrong with it.
struct Illness {
  Kind kind;
  Severity severity = Severity::note;
  std::size_t socket = 0;  // index into Facts::sockets
  // For at least so long; nothing where the kernel does not tell.
  std::optional<Milliseconds> since;
  Words text;  // "CLOSE-WAIT for 3 h 2 min: the peer has closed, this program has not"
};

// TIME-WAIT entries towards one destination: each blocks one local port for it.
struct TimeWaits {
  wire::IpAddress local;
  wire::SocketAddress remote;
  std::size_t count = 0;
  Severity severity = Severity::chat;  // note from a tenth of the ports on, warning from a half, error from 95 %
};

struct Diagnosis {
  std::vector<Illness> illnesses;     // worst first; of the same severity, the longest first
  std::vector<TimeWaits> time_waits;  // most first
};
Diagnosis diagnose(const Facts& facts);

struct Filter {
  std::vector<std::uint16_t> ports;    // local or remote
  std::vector<wire::IpAddress> hosts;  // local or remote
  std::vector<pid_t> pids;             // that hold it
  [[nodiscard]] bool fits(const trace::SocketSnapshot& socket, const trace::SocketHolders& holders) const;
  [[nodiscard]] bool empty() const { return ports.empty() && hosts.empty() && pids.empty(); }
};
// Only the sockets that fit.
void apply(const Filter& filter, Facts& facts);

struct ShowOptions {
  explain::Language language = explain::Language::en;
  std::size_t width = 80;
  bool color = false;
  bool all = false;  // healthy ones too
};
std::string as_text(const Facts& facts, const Diagnosis& diagnosis, const ShowOptions& options);
// One JSON document, piece by piece: it is many times as large as the facts.
using Write = std::function<void(std::string_view)>;
void write_json(const Facts& facts, const Diagnosis& diagnosis, explain::Language language, const Write& write);

// "3 h 2 min", "12 s", "450 ms".
std::string in_words(Milliseconds duration);

}  // namespace tcpwhy::cli::ps
