// libbpf must not share a translation unit with libpcap: struct bpf_insn is another thing in each.
#include "trace/bpf/probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/unique_fd.h"
#include "trace/bpf/event_rings.h"
#include "trace/bpf/probe.skel.h"
#include "trace/calls/operation_table.h"
#include "trace/calls/syscall_table.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace tcpwhy::trace {
namespace {

struct BtfDeleter {
  void operator()(btf* types) const { btf__free(types); }
};
using Btf = std::unique_ptr<btf, BtfDeleter>;

const Btf& kernel_types() {
  static const Btf types(btf__load_vmlinux_btf());
  return types;
}

// How many arguments the kernel's tracepoint hands over; -1: it has no such tracepoint.
int tracepoint_arguments(const std::string& name) {
  const btf* types = kernel_types().get();
  if (types == nullptr) return -1;
  const int id = btf__find_by_name_kind(types, ("btf_trace_" + name).c_str(), BTF_KIND_TYPEDEF);
  if (id < 0) return -1;
  const btf_type* type = btf__type_by_id(types, btf__type_by_id(types, static_cast<__u32>(id))->type);  // the pointer
  if (type == nullptr || btf_kind(type) != BTF_KIND_PTR) return -1;
  type = btf__type_by_id(types, type->type);
  if (type == nullptr || btf_kind(type) != BTF_KIND_FUNC_PROTO) return -1;
  return btf_vlen(type) - 1;  // the first is the tracepoint's own data
}

// One row a program: the tracepoint it needs, and with how many arguments.
struct Hook {
  std::string_view program, tracepoint;
  int least_arguments;
  std::string_view loses;      // what is not known without it; "": another program stands in
  std::string_view stands_in;  // attached instead
  int most_arguments = 12;     // more: the stand-in reads them
};
constexpr auto hooks = std::to_array<Hook>({
    {"on_sys_enter", "sys_enter", 2, "system calls", ""},
    {"on_sys_exit", "sys_exit", 2, "results of system calls", ""},
    {"on_segment", "net_dev_queue", 1, "causes of segments", ""},
    {"on_state", "inet_sock_set_state", 3, "changes of state", ""},
    {"on_reset_sent", "tcp_send_reset", 3, "reasons of resets (Linux 6.10)", "on_reset_sent_without_reason"},
    {"on_reset_received", "tcp_receive_reset", 1, "resets received", ""},
    {"on_socket_error", "inet_sk_error_report", 1, "errors put on sockets (Linux 5.14)", ""},
    {"on_destroyed", "tcp_destroy_sock", 1, "ends of sockets", ""},
    {"on_drop", "kfree_skb", 4, "the socket of a drop (Linux 6.11)", "on_drop_without_socket"},
    {"on_signal_generated", "signal_generate", 5, "signals generated", ""},
    {"on_signal_delivered", "signal_deliver", 3, "signals delivered", ""},
    {"on_fork", "sched_process_fork", 2, "forks", ""},
    {"on_exec", "sched_process_exec", 1, "programs started", ""},
    {"on_exit", "sched_process_exit", 1, "ends of processes", ""},
    {"on_operation_submitted", "io_uring_submit_req", 1, "io_uring operations (Linux 6.3)", ""},
    {"on_operation_refused", "io_uring_req_failed", 3, "io_uring operations that are refused at once", ""},
    {"on_operation_begins", "io_uring_file_get", 2, "which of several io_uring operations sent a segment", ""},
    {"on_operation_completed", "io_uring_complete", 3, "results of io_uring operations",
     "on_operation_completed_by_value", 3},
    {"on_completion_waits", "io_uring_cqe_overflow", 5, "results of io_uring operations that find no room", ""},
});
constexpr std::string_view hooks_of_calls[] = {"on_sys_enter",
                                               "on_sys_exit",
                                               "on_signal_generated",
                                               "on_signal_delivered",
                                               "on_fork",
                                               "on_exec",
                                               "on_exit",
                                               "on_operation_submitted",
                                               "on_operation_refused",
                                               "on_operation_begins",
                                               "on_operation_completed",
                                               "on_operation_completed_by_value",
                                               "on_completion_waits"};
constexpr std::string_view hooks_of_drops[] = {"on_drop", "on_drop_without_socket"};

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

bool is_asked_for(std::string_view program, const ProbeOptions& options) {
  if (is_one_of(program, hooks_of_calls)) return options.calls;
  if (is_one_of(program, hooks_of_drops)) return options.drops;
  if (program == "on_segment") return options.segments;
  return true;
}

// What libbpf says while one of these lives; its printer takes no context.
class LibbpfWords {
 public:
  LibbpfWords() {
    listening_ = &text_;
    libbpf_set_print(keep);
  }
  LibbpfWords(const LibbpfWords&) = delete;
  LibbpfWords& operator=(const LibbpfWords&) = delete;
  ~LibbpfWords() { listening_ = nullptr; }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  static int keep(libbpf_print_level level, const char* format, va_list arguments) {
    if (level == LIBBPF_DEBUG || listening_ == nullptr) return 0;
    char line[512];
    const int length = vsnprintf(line, sizeof line, format, arguments);
    if (listening_->size() < 16384) *listening_ += line;
    return length;
  }

  static inline std::string* listening_ = nullptr;
  std::string text_;
};

probe_syscall settings_of(const SyscallRow& row) {
  probe_syscall made{};
  made.wanted = 1;
  made.only_on_tcp = row.only_on_tcp && !row.fd_range;
  made.wants_stack = row.wants_stack;
  made.closes = row.call_class == CallClass::closes;
  made.fd_argument = row.fd_range ? std::int8_t{-1} : row.fd_argument;
  made.second_fd_argument = row.second_fd_argument;
  constexpr std::string_view making[] = {"socket", "accept", "accept4"};  // of calls and of operations
  made.result_is_fd = is_one_of(row.name, making);
  made.direct = row.name == "connect"                ? PROBE_DIRECT_CONNECT
                : row.name == "shutdown"             ? PROBE_DIRECT_SHUTDOWN
                : row.name == "close"                ? PROBE_DIRECT_CLOSE
                : row.call_class == CallClass::sends ? PROBE_DIRECT_SEND
                                                     : PROBE_NOT_DIRECT;
  // Those that come by the thousand, and whose memory says at their return what it said at their entry.
  constexpr std::string_view told_at_return[] = {"sendto",    "sendmsg",    "write",      "writev",     "recvfrom",
                                                 "recvmsg",   "read",       "readv",      "epoll_wait", "epoll_pwait",
                                                 "epoll_ctl", "setsockopt", "getsockopt", "fcntl"};
  made.told_at_return = is_one_of(row.name, told_at_return);
  made.passes = row.number == SYS_sendmsg, made.is_passed = row.number == SYS_recvmsg;
  made.piece_count = std::min<std::uint8_t>(row.piece_count, PROBE_PIECES);
  for (std::size_t i = 0; i < made.piece_count; ++i) made.piece[i] = layout_of(row.pieces.at(i));
  return made;
}

std::optional<__u32> reason_number(const std::string& name) {
  const auto names = kernel_enum("skb_drop_reason", "SKB_");
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<__u32>(found - names.begin());
}

struct SkeletonDeleter {
  void operator()(::probe* skeleton) const { probe__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<::probe, SkeletonDeleter>;

// How many rings, a power of two, and the bytes of each.
struct RingSizes {
  std::uint32_t count, bytes;
};
RingSizes ring_sizes(std::uint32_t bytes_together) {
  constexpr std::uint32_t least_bytes = 1U << 20;
  const auto processors = static_cast<std::uint32_t>(std::max(sysconf(_SC_NPROCESSORS_ONLN), 1L));
  const std::uint32_t count = std::min(std::bit_ceil(processors), std::uint32_t{PROBE_RINGS});
  return {count, std::max(bytes_together / count, std::min(bytes_together, least_bytes))};
}

}  // namespace

struct Probe::Impl {
  Skeleton skeleton;
  std::optional<EventRings> rings;
  std::vector<MissingHook> missing;
  bool reset_reasons = false;
  bool detached = false;
  std::uint64_t skipped_at_detach = 0;

  [[nodiscard]] std::uint64_t skipped() const;
};

std::uint64_t Probe::Impl::skipped() const {
  std::uint64_t sum = 0;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton->obj) {
    const int fd = bpf_program__fd(program);
    if (fd < 0) continue;
    bpf_prog_info info{};
    __u32 length = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &length) == 0) sum += info.recursion_misses;
  }
  return sum;
}

Probe::Probe(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Probe::Probe(Probe&&) noexcept = default;
Probe& Probe::operator=(Probe&&) noexcept = default;
Probe::~Probe() = default;

namespace {

void choose_programs(bpf_object* object, const ProbeOptions& options, std::vector<MissingHook>& missing,
                     bool& reset_reasons) {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) bpf_program__set_autoload(program, false);
  const auto load = [object](std::string_view name) {
    bpf_program__set_autoload(bpf_object__find_program_by_name(object, std::string(name).c_str()), true);
  };
  for (const Hook& hook : hooks) {
    if (!is_asked_for(hook.program, options)) continue;
    if (std::ranges::find(options.without, hook.program) != options.without.end()) {
      missing.push_back({std::string(hook.tracepoint), std::string(hook.loses)});
      continue;
    }
    const int arguments = tracepoint_arguments(std::string(hook.tracepoint));
    if (arguments > hook.most_arguments && !hook.stands_in.empty()) {
      load(hook.stands_in);
      continue;
    }
    if (arguments >= hook.least_arguments) {
      load(hook.program);
      if (hook.program == "on_reset_sent") reset_reasons = true;
      continue;
    }
    missing.push_back({std::string(hook.tracepoint), std::string(hook.loses)});
    // kfree_skb without a reason (before 5.17) tells nothing.
    const int enough = hook.tracepoint == "kfree_skb" ? 3 : 1;
    if (arguments >= enough && !hook.stands_in.empty()) load(hook.stands_in);
  }
}

std::string first_line(const std::string& words) {
  const std::size_t begin = words.find("libbpf: ") == std::string::npos ? 0 : words.find("libbpf: ") + 8;
  return words.substr(begin, words.find('\n', begin) - begin);
}

base::Error cannot_load(int error, const LibbpfWords& words) {
  if (error == EPERM || error == EACCES)
    return {
        base::ErrorKind::privilege, "the kernel does not let this user load BPF programs",
        "run as root, or give the program the capabilities BPF and PERFMON: setcap cap_bpf,cap_perfmon,cap_net_raw+ep"};
  if (kernel_types() == nullptr)
    return {base::ErrorKind::privilege, "this kernel tells nothing of its types (/sys/kernel/btf/vmlinux is not there)",
            "it must be built with CONFIG_DEBUG_INFO_BTF; without it programs are watched by ptrace"};
  return {base::ErrorKind::privilege, fmt::format("the BPF probe cannot be loaded: {}", strerror(error)),
          first_line(words.text())};
}

}  // namespace

namespace {

base::Result<std::vector<base::UniqueFd>> make_rings(const RingSizes& sizes, const LibbpfWords& words) {
  std::vector<base::UniqueFd> rings;
  for (std::uint32_t i = 0; i < sizes.count; ++i) {
    rings.emplace_back(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "event_ring", 0, 0, sizes.bytes, nullptr));
    if (rings.back().valid()) continue;
    if (errno == EPERM) return std::unexpected(cannot_load(errno, words));
    return base::fail_errno("the probe's ring buffers");
  }
  return rings;
}

// The programs find theirs by their processor.
base::Status hand_over(std::span<const base::UniqueFd> rings, const ::probe& skeleton) {
  for (__u32 i = 0; i < rings.size(); ++i) {
    const int fd = rings[i].get();
    if (bpf_map__update_elem(skeleton.maps.rings, &i, sizeof i, &fd, sizeof fd, BPF_ANY) != 0)
      return base::fail_errno("the probe's ring buffers");
  }
  return {};
}

// What the programs find when they are loaded.
void set_up(::probe& skeleton, const ProbeOptions& options, const RingSizes& rings) {
  auto& settings = *skeleton.rodata;
  settings.only_interesting = options.only_interesting;
  settings.excluded_netns = options.excluded_netns;
  settings.terse = options.terse;
  settings.lives = options.lives;
  settings.counted_netns = options.counted_netns;
  settings.user_stacks_a_second = options.user_stacks_a_second;
  settings.last_ring = rings.count - 1;
  settings.wake_above = rings.bytes / 4;
  if (const auto number = reason_number("DROP_REASON_NOT_SPECIFIED")) settings.reason_not_specified = *number;
  if (const auto number = reason_number("CONSUMED")) settings.reason_consumed = *number;
  if (const auto number = reason_number("DROP_REASON_QUEUE_PURGE")) settings.reason_queue_purge = *number;
  if (!options.calls) return;
  for (const SyscallRow& row : syscall_table())
    if (row.number >= 0 && row.number < PROBE_SYSCALLS) skeleton.bss->syscalls[row.number] = settings_of(row);
  for (const OperationRow& row : operation_table())
    if (row.opcode < PROBE_OPERATIONS) skeleton.bss->operation_rows[row.opcode] = settings_of(row.call);
}

}  // namespace

base::Result<Probe> Probe::open(const ProbeOptions& options) {
  const auto page = static_cast<std::uint32_t>(sysconf(_SC_PAGESIZE));
  if (!std::has_single_bit(options.ring_bytes) || options.ring_bytes < page)
    return base::fail(base::ErrorKind::usage,
                      fmt::format("ring buffers of {} bytes: it must be a power of two, and a page ({} bytes) at least",
                                  options.ring_bytes, page));
  const LibbpfWords words;
  auto impl = std::make_unique<Impl>();
  impl->skeleton.reset(probe__open());
  if (!impl->skeleton) return std::unexpected(cannot_load(errno, words));
  auto& skeleton = *impl->skeleton;
  choose_programs(skeleton.obj, options, impl->missing, impl->reset_reasons);
  const RingSizes sizes = ring_sizes(options.ring_bytes);
  set_up(skeleton, options, sizes);
  auto rings = make_rings(sizes, words);
  if (!rings) return std::unexpected(rings.error());
  bpf_map__set_inner_map_fd(skeleton.maps.rings, rings->front().get());
  if (const int status = probe__load(&skeleton); status != 0) return std::unexpected(cannot_load(-status, words));
  if (auto handed = hand_over(*rings, skeleton); !handed) return std::unexpected(handed.error());
  auto reader = EventRings::open(std::move(*rings), sizes.bytes);
  if (!reader) return std::unexpected(reader.error());
  impl->rings.emplace(std::move(*reader));
  return Probe(std::move(impl));
}

base::Status Probe::attach() {
  const LibbpfWords words;
  if (const int status = probe__attach(impl_->skeleton.get()); status != 0)
    return std::unexpected(cannot_load(-status, words));
  return {};
}

void Probe::detach() {
  impl_->skipped_at_detach = impl_->skipped();
  probe__detach(impl_->skeleton.get());
  impl_->detached = true;
}

void Probe::want_path_samples(std::uint32_t count) { impl_->skeleton->bss->samples_wanted = static_cast<__s32>(count); }

void Probe::know_path(const probe_path& path) {
  auto& bss = *impl_->skeleton->bss;
  if (bss.path_count >= PROBE_PATHS) return;
  bss.paths[bss.path_count] = path;
  // Whoever sees the count must see the path.
  std::atomic_ref(bss.path_count).store(bss.path_count + 1, std::memory_order_release);
}

base::Status Probe::follow(pid_t process) {
  const auto key = static_cast<__u32>(process);
  const __u8 one = 1;
  if (bpf_map__update_elem(impl_->skeleton->maps.traced, &key, sizeof key, &one, sizeof one, BPF_ANY) != 0)
    return base::fail_errno("the probe's table of processes");
  return {};
}

base::Status Probe::follow_port(std::uint64_t netns, std::uint16_t port) {
  const probe_port_key key{.netns = netns, .port = port, .reserved = 0};
  const __u8 one = 1;
  if (bpf_map__update_elem(impl_->skeleton->maps.ports, &key, sizeof key, &one, sizeof one, BPF_ANY) != 0)
    return base::fail_errno("the probe's table of ports");
  return {};
}

base::Status Probe::follow_flow(const wire::SocketAddress& local, const wire::SocketAddress& remote) {
  // As flow_key() of the kernel's half makes it: by port, then by the address's bytes as two numbers of this machine.
  struct End {
    std::uint16_t port;
    std::array<__u64, 2> words;
    auto operator<=>(const End&) const = default;
  };
  const auto end = [](const wire::SocketAddress& address) {
    End made{address.port, {}};
    const auto ip = address.ip.unmapped();
    std::memcpy(made.words.data(), ip.bytes.data(), ip.bytes.size());
    return made;
  };
  const auto [low, high] = std::minmax(end(local), end(remote));
  probe_flow_key key{};
  std::memcpy(key.low, low.words.data(), sizeof key.low);
  std::memcpy(key.high, high.words.data(), sizeof key.high);
  key.low_port = low.port, key.high_port = high.port;
  const __u8 one = 1;
  if (bpf_map__update_elem(impl_->skeleton->maps.flows, &key, sizeof key, &one, sizeof one, BPF_ANY) != 0)
    return base::fail_errno("the probe's table of connections");
  return {};
}

int Probe::fd() const { return impl_->rings->fd(); }
double Probe::fullness() const { return impl_->rings->fullness(); }

std::size_t Probe::consume(const std::function<void(std::span<const std::byte>)>& on_record, base::Duration hold_back) {
  if (impl_->detached) return impl_->rings->consume(EventRings::no_end, on_record);
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // as bpf_ktime_get_ns()
  const auto now_ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
  return impl_->rings->consume(now_ns - static_cast<std::uint64_t>(hold_back.count()), on_record);
}

std::vector<probe_call> Probe::unfinished_calls() const {
  std::vector<probe_call> found;
  const auto add = [&found](__u32 thread, const call_state& state) {
    if (state.number == PROBE_NO_CALL || state.told != 0 || state.held != 0) return;
    probe_call call{};
    call.head.at_ns = call.call = state.id;
    call.head.kind = PROBE_CALL_ENTERED;
    call.head.tid = thread, call.head.tgid = state.tgid;
    call.number = state.number;
    call.socket.pointer = state.socket;
    std::ranges::copy(state.arguments, call.arguments);
    found.push_back(call);
  };
  for (const call_place& place : impl_->skeleton->bss->places)
    if (place.tid != 0) add(place.tid, place.state);
  const int map = bpf_map__fd(impl_->skeleton->maps.calls);
  __u32 thread = 0, next = 0;
  for (const __u32* at = nullptr; bpf_map_get_next_key(map, at, &next) == 0; at = &thread) {
    thread = next;
    call_state state{};
    if (bpf_map_lookup_elem(map, &thread, &state) == 0) add(thread, state);
  }
  return found;
}

std::uint64_t Probe::lost_records() const { return impl_->skeleton->bss->counters.lost_events; }
std::uint64_t Probe::skipped_stacks() const { return impl_->skeleton->bss->counters.skipped_stacks; }
ProbeCounts Probe::counted() const {
  const auto& counters = impl_->skeleton->bss->counters;
  return {counters.resets_sent, counters.established_ended};
}
std::uint64_t Probe::skipped_runs() const { return std::max(impl_->skipped_at_detach, impl_->skipped()); }
const std::vector<MissingHook>& Probe::missing() const { return impl_->missing; }
bool Probe::tells_reset_reasons() const { return impl_->reset_reasons; }

std::vector<std::string> kernel_enum(const std::string& name, const std::string& prefix) {
  std::vector<std::string> names;
  const btf* types = kernel_types().get();
  if (types == nullptr) return names;
  const int id = btf__find_by_name_kind(types, name.c_str(), BTF_KIND_ENUM);
  if (id < 0) return names;
  const btf_type* type = btf__type_by_id(types, static_cast<__u32>(id));
  const struct btf_enum* row = ::btf_enum(type);
  for (int i = 0; i < btf_vlen(type); ++i, ++row) {
    if (row->val < 0 || row->val > 0xffff) continue;  // reasons of subsystems stand far away
    std::string_view text = btf__name_by_offset(types, row->name_off);
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
    if (names.size() <= static_cast<std::size_t>(row->val)) names.resize(static_cast<std::size_t>(row->val) + 1);
    names[static_cast<std::size_t>(row->val)] = text;
  }
  return names;
}

base::Duration wall_minus_monotonic() {
  // The narrowest of a few pairs: between the two readings this thread may be interrupted.
  base::Duration best{}, narrowest = base::Duration::max();
  const auto ns = [](clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return base::Duration(std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec);
  };
  for (int i = 0; i < 5; ++i) {
    const auto before = ns(CLOCK_MONOTONIC), wall = ns(CLOCK_REALTIME), after = ns(CLOCK_MONOTONIC);
    if (after - before >= narrowest) continue;
    narrowest = after - before;
    best = wall - (before + (after - before) / 2);
  }
  return best;
}

std::uint64_t current_netns_cookie() {
  const base::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  std::uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (!socket.valid() || getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) != 0) return 0;
  return cookie;
}

}  // namespace tcpwhy::trace
