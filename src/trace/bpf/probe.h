// The probe: BPF programs on the running kernel's tracepoints (trace/bpf/program), loaded by libbpf and adapted to the kernel as
// it is (CO-RE). Needs CAP_BPF and CAP_PERFMON, or root, and Linux 5.8. Each program stands alone: what the kernel lacks or refuses
// costs that hook, is said, and is not fatal.
//
// Nothing stays behind: programs and maps live as long as this process holds their descriptors.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/clock.h"
#include "base/result.h"
#include "trace/bpf/program/protocol.h"
#include "trace/tracer.h"
#include "wire/address.h"

namespace tcpwhy::trace {

// Each processor has a ring of its own, of a megabyte at least where no less is asked for in all.
constexpr std::uint32_t default_ring_bytes = 16U << 20;

// For Probe::consume(): no program is interrupted for as long between taking a record's time and writing it, but where the whole
// machine stands still.
constexpr base::Duration usual_hold_back = std::chrono::milliseconds(2);

// Of version 2.
struct ControlGroup {
  std::uint64_t id = 0;     // the inode of its folder; 0: none
  std::uint32_t level = 0;  // how many groups it is below the root
};

struct ProbeOptions {
  bool calls = true;             // system calls, signals, starts and ends of the processes that follow() names
  bool only_interesting = true;  // only sockets of those processes, their peers, and the ports named
  bool segments = true;          // each segment that leaves, with the kernel's stack
  bool drops = true;
  // For programs at full speed: as few of the kernel's frames as tell a cause, PROBE_GONE for PROBE_DESTROYED, and PROBE_BRIEF
  // records where only those of interest are told. Else each record that is no call's or process's begins with its socket.
  bool terse = true;
  bool lives =
      false;  // changes of state with what LifeTracker needs: who made them, and in the end what the socket has carried
  std::vector<std::string> without;  // programs of the probe that are left out: as on a kernel that lacks their hooks
  std::vector<std::string>
      refused;  // programs that are made such as every kernel refuses: as on one whose verifier does
  std::uint64_t counted_netns = 0;   // SO_NETNS_COOKIE of the network namespace that counted() is about; 0: none
  ControlGroup cgroup{};             // for who watches lives: whose processes are marked (PROBE_IN_CGROUP)
  std::uint64_t excluded_netns = 0;  // SO_NETNS_COOKIE of a network namespace to leave out; 0: none
  std::uint32_t ring_bytes = default_ring_bytes;  // of all rings together, a power of two, at least a page
  std::uint32_t user_stacks_a_second = 200;
  bool processes = true;  // they are told by their numbers, which are the initial PID namespace's
};

// As the commands ask for it, but for what depends on the target.
ProbeOptions probe_of_trace();
ProbeOptions probe_of_watch();
ProbeOptions probe_of_lab();

// A hook that the running kernel lacks or refuses, and what is not known for want of it.
struct MissingHook {
  std::string name;  // the tracepoint
  base::Text loses;
  int refused = 0;        // errno of the refusal; 0: the kernel has no such tracepoint, or another one of that name
  base::OwnedText words;  // refused: the verifier's last lines
};

// What the kernel's MIB counts too, as the probe saw it: of one network namespace, whoever's it was.
struct ProbeCounts {
  std::uint64_t resets_sent = 0;        // Tcp.OutRsts
  std::uint64_t established_ended = 0;  // Tcp.EstabResets
};

class Probe {
 public:
  // Errors: privilege (with a hint), or a kernel that cannot.
  static base::Result<Probe> open(const ProbeOptions& options);
  Probe(Probe&&) noexcept;
  Probe& operator=(Probe&&) noexcept;
  ~Probe();

  // Nothing is recorded before this.
  base::Status attach();
  // Detaches the hooks; what is in the ring can still be consumed.
  void detach();

  // Makes it send up to that many probe_path_samples, of stacks that no path fits; not adding up. From a kernel that cannot
  // recognise paths (before 6.2) none ever comes.
  void want_path_samples(std::uint32_t count);
  // From now on segments that leave by it carry its number (probe_segment.path) instead of their stacks: 1 for the first path,
  // and so on. At most PROBE_PATHS; more are ignored.
  void know_path(const probe_path& path);

  base::Status follow(pid_t process);  // and whatever it forks
  base::Status follow_port(std::uint64_t netns, std::uint16_t port);
  base::Status follow_flow(const wire::SocketAddress& local, const wire::SocketAddress& remote);

  // Readable when a ring is filling up; besides, consume() should be called some ten times a second.
  [[nodiscard]] int fd() const;
  // Calls `on_record` with each record that waits (they begin with probe_head), in the order of their times. Returns how many. What
  // is younger than `hold_back` waits for the next time, unless the hooks have been detached: a program that was interrupted
  // between taking the time and writing its record would else be told after what came later on another processor.
  std::size_t consume(const std::function<void(std::span<const std::byte>)>& on_record, base::Duration hold_back = {});
  // How full the fullest ring is, 0 to 1.
  [[nodiscard]] double fullness() const;

  // Calls whose entry has been put off until their return, which is yet to come; after detach().
  [[nodiscard]] std::vector<probe_call> unfinished_calls() const;

  // Since open(): records for which their ring had no room; runs of programs that the kernel skipped because the same program was
  // running already on that processor (bpf_prog_info.recursion_misses).
  [[nodiscard]] std::uint64_t lost_records() const;
  [[nodiscard]] std::uint64_t skipped_runs() const;
  [[nodiscard]] std::uint64_t skipped_stacks() const;
  [[nodiscard]] ProbeCounts counted() const;
  // What can be had from it, for Provenance::observed, but the causes of segments, which need the kernel's symbols too.
  [[nodiscard]] recording::Observations observes() const;
  // What can't.
  [[nodiscard]] const std::vector<MissingHook>& missing() const;
  // The same in sentences: one for all that the kernel lacks, one for each program that it refuses.
  [[nodiscard]] std::vector<Lack> lacks() const;
  // How many instructions the kernel's verifier walked through, which is most of what the start of a trace takes: by program; 0 before
  // Linux 5.16.
  [[nodiscard]] std::map<std::string, std::uint32_t> verified_instructions() const;
  // Whether that program of the probe (trace/bpf/hooks.h) runs.
  [[nodiscard]] bool has(std::string_view program) const;

 private:
  struct Impl;
  explicit Probe(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// CLOCK_REALTIME minus CLOCK_MONOTONIC, now. It moves by nanoseconds while nobody sets the clock.
base::Duration wall_minus_monotonic();

// SO_NETNS_COOKIE of the network namespace that is current; 0 where the kernel does not tell (before 5.14).
std::uint64_t current_netns_cookie();

}  // namespace tcpwhy::trace
