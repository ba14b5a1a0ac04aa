#include "trace/ptrace/inside/code.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <span>
#include <string>

#include "base/unique_fd.h"
#include "calls/decode.h"
#include "trace/ptrace/inside/recorder_code.h"
#include "trace/ptrace/process_memory.h"
#include "trace/stacks/mapping.h"

namespace tcpwhy::trace {
namespace {

constexpr std::uint64_t call_bytes = 2, comparison_bytes = 6;
constexpr std::uint64_t stub_bytes = 44, stub_call_end = 33;
constexpr std::uint64_t stub_area_bytes = 1U << 20U;
constexpr std::uint64_t furthest = 1U << 30U;  // a jump reaches twice as far
constexpr std::uint8_t int3 = 0xcc;
constexpr auto pause_between_stages = std::chrono::milliseconds(10);
constexpr int most_times = 3;

bool write_memory(pid_t pid, std::uint64_t address, std::span<const std::uint8_t> bytes) {
  // Unlike process_vm_writev(2), also where the program itself may not write.
  const base::UniqueFd memory(::open(fmt::format("/proc/{}/mem", pid).c_str(), O_WRONLY | O_CLOEXEC));
  return memory.valid() && ::pwrite(memory.get(), bytes.data(), bytes.size(), static_cast<off_t>(address)) ==
                               static_cast<ssize_t>(bytes.size());
}

template <class T>
std::span<const std::uint8_t> bytes_of(const T& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

// libc.so.6, libc-2.31.so, libpthread.so.0: they leave room on the stack at their calls, which not every language's
// runtime does.
bool is_c_library(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return name.starts_with("libc.so") || name.starts_with("libc-") || name.starts_with("libpthread");
}

bool compares_result(std::span<const std::uint8_t> code) {
  if (code.size() != call_bytes + comparison_bytes) return false;
  const bool calls = code[0] == 0x0f && code[1] == 0x05;  // syscall
  // cmp $0xfffff000 or $0xfffff001, %rax
  return calls && code[2] == 0x48 && code[3] == 0x3d && code[4] <= 1 && code[5] == 0xf0 && code[6] == 0xff &&
         code[7] == 0xff;
}

// Room below `address`, not too far away.
std::uint64_t find_gap(pid_t pid, std::uint64_t address) {
  const auto ranges = memory_ranges(pid);
  for (std::size_t i = ranges.size(); i-- > 1;) {
    if (ranges[i].begin > address) continue;
    if (address - ranges[i].begin > furthest) break;
    constexpr std::uint64_t distance = 16U << 20U;  // left to what the program maps next
    if (ranges[i].begin - ranges[i - 1].end > stub_area_bytes + 2 * distance)
      return ranges[i].begin - stub_area_bytes - distance;
  }
  return 0;
}

// The same page in every process: where clock_gettime() lies in it, we know from our own.
std::uint64_t clock_of(pid_t pid) {
  void* const handle = ::dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
  const void* const function = handle == nullptr ? nullptr : ::dlsym(handle, "__vdso_clock_gettime");
  const std::uint64_t here = ::getauxval(AT_SYSINFO_EHDR);
  if (function == nullptr || here == 0) return 0;
  std::ifstream file(fmt::format("/proc/{}/auxv", pid), std::ios::binary);
  std::array<std::uint64_t, 2> entry{};
  while (file.read(reinterpret_cast<char*>(entry.data()), sizeof entry))
    if (entry[0] == AT_SYSINFO_EHDR) return entry[1] + (reinterpret_cast<std::uint64_t>(function) - here);
  return 0;
}

bool succeeded(std::optional<std::int64_t> result) { return result && !calls::is_error(*result); }

// The name that it was opened by may have meant another file: /proc may be another PID namespace's there.
bool is_same_file(pid_t pid, std::int64_t its, int ours) {
  struct stat theirs{}, own{};
  return ::stat(fmt::format("/proc/{}/fd/{}", pid, its).c_str(), &theirs) == 0 && ::fstat(ours, &own) == 0 &&
         theirs.st_dev == own.st_dev && theirs.st_ino == own.st_ino;
}

bool map_recorder(pid_t pid, RemoteCalls& calls, const InsideArea& area) {
  const std::string path = fmt::format("/proc/{}/fd/{}", ::getpid(), area.fd());
  constexpr std::uint64_t below_red_zone = 1024;
  const std::uint64_t name = (calls.registers().rsp - below_red_zone) & ~std::uint64_t{15};
  if (!write_memory(pid, name, {reinterpret_cast<const std::uint8_t*>(path.c_str()), path.size() + 1})) return false;
  const auto fd = calls.call(SYS_openat, static_cast<std::uint64_t>(AT_FDCWD), name, O_RDWR | O_CLOEXEC);
  if (!succeeded(fd)) return false;
  constexpr std::uint64_t anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  const struct {
    std::uint64_t address, bytes, protection, flags, fd;
  } wanted[] = {
      {INSIDE_BASE, INSIDE_MAPPED_BYTES, PROT_READ | PROT_EXEC, anonymous, ~0ULL},
      {INSIDE_PRIVATE, INSIDE_PRIVATE_BYTES, PROT_READ | PROT_WRITE, anonymous, ~0ULL},
      {INSIDE_SHARED, sizeof(inside_shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE,
       static_cast<std::uint64_t>(*fd)},
  };
  bool all = is_same_file(pid, *fd, area.fd());
  for (const auto& one : wanted) {
    if (!all) break;
    const auto got = calls.call(SYS_mmap, one.address, one.bytes, one.protection, one.flags, one.fd, 0);
    all = succeeded(got) && static_cast<std::uint64_t>(*got) == one.address;
    // A kernel that doesn't know the flag gives another place.
    if (!all && succeeded(got)) calls.call(SYS_munmap, static_cast<std::uint64_t>(*got), one.bytes);
  }
  calls.call(SYS_close, static_cast<std::uint64_t>(*fd));
  if (!all) return false;
  const InsideRows& rows = inside_rows();
  const inside_private page{.clock = clock_of(pid), .table = INSIDE_NO_TABLE, .reserved = 0};
  static_assert(sizeof(InsideRows) <= INSIDE_MAPPED_BYTES - INSIDE_CODE_BYTES);
  static_assert(sizeof recorder_code <= INSIDE_CODE_BYTES);
  return write_memory(pid, INSIDE_BASE, recorder_code) && write_memory(pid, INSIDE_ROWS, bytes_of(rows)) &&
         write_memory(pid, INSIDE_PRIVATE, bytes_of(page));
}

}  // namespace

bool InsideCode::map(pid_t pid, RemoteCalls& calls, const InsideArea& area, std::uint64_t address) {
  const std::uint64_t gap = find_gap(pid, address);
  if (gap == 0) return false;
  const auto got = calls.call(SYS_mmap, gap, stub_area_bytes, PROT_READ | PROT_EXEC,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, ~0ULL, 0);
  if (!succeeded(got)) return false;
  const auto stubs = static_cast<std::uint64_t>(*got);
  const std::uint64_t distance = stubs > address ? stubs - address : address - stubs;
  if (distance > furthest || !map_recorder(pid, calls, area)) {
    calls.call(SYS_munmap, stubs, stub_area_bytes);
    return false;
  }
  stubs_ = stubs;
  return true;
}

bool InsideCode::is_in(pid_t pid) {
  return std::ranges::any_of(memory_ranges(pid), [](const MemoryRange& range) {
    return range.begin == INSIDE_SHARED && range.path.starts_with("/memfd:tcpwhy");
  });
}

bool InsideCode::is_site(pid_t pid, std::uint64_t address) {
  const std::uint64_t begin = address - call_bytes;
  for (const Site& site : sites_)
    if (site.address == begin) return site.times < most_times;
  if (std::ranges::find(refused_, begin) != refused_.end()) return false;
  const bool is_one = compares_result(ProcessMemory(pid).read(begin, call_bytes + comparison_bytes)) &&
                      std::ranges::any_of(memory_ranges(pid), [begin](const MemoryRange& range) {
                        return range.begin <= begin && begin < range.end && is_c_library(range.path);
                      });
  constexpr std::size_t most_refused = 256;
  if (!is_one && refused_.size() < most_refused) refused_.push_back(begin);
  return is_one;
}

InsideCode::Site* InsideCode::find(std::uint64_t address) {
  const auto found = std::ranges::find(sites_, address, &Site::address);
  return found == sites_.end() ? nullptr : &*found;
}

// The distance that the jump names has int3 as its second byte.
std::optional<std::uint64_t> InsideCode::place_stub(std::uint64_t site) const {
  constexpr std::uint64_t jump_end = 5, window = 0x100, period = 0x1'0000;
  const std::uint64_t from = site + jump_end;
  const std::uint64_t first = stubs_ + ((from + int3 * window - stubs_) & (period - 1));
  for (std::uint64_t begin = first - period; begin + window <= stubs_ + stub_area_bytes; begin += period)
    for (std::uint64_t stub = begin; stub < begin + window; stub += 8) {
      if (stub < stubs_ || stub + stub_bytes > stubs_ + stub_area_bytes) continue;
      const bool is_free = std::ranges::none_of(sites_, [stub](const Site& other) {
        return stub < other.stub + stub_bytes && other.stub < stub + stub_bytes;
      });
      if (is_free && ((stub - from) >> 8U & 0xff) == int3) return stub;
    }
  return std::nullopt;
}

bool InsideCode::redirect(pid_t pid, std::uint64_t address, bool alone, base::WallTime now) {
  const std::uint64_t begin = address - call_bytes;
  Site* site = find(begin);
  if (site == nullptr) {
    const auto stub = place_stub(begin);
    const auto own = ProcessMemory(pid).read(begin, call_bytes + comparison_bytes);
    if (!stub || !compares_result(own)) return false;
    const auto distance = static_cast<std::uint32_t>(*stub - (begin + 5));
    Site made{.address = begin, .stub = *stub};
    made.jump[0] = 0xe9;
    std::memcpy(&made.jump[1], &distance, sizeof distance);
    std::copy_n(own.begin() + call_bytes, comparison_bytes, made.comparison.begin());
    sites_.push_back(made);
    site = &sites_.back();
  }
  // A fork may have its memory from before: then all of it is written again.
  if (++site->times > most_times) return false;
  std::array<std::uint8_t, stub_bytes> code = {0x48, 0x8d, 0x64, 0x24, 0x80,  // lea -128(%rsp), %rsp: the red zone
                                               0x49, 0xbb, 0,    0,    0,    0, 0, 0,
                                               0,    0,                                // movabs $INSIDE_ENTRY, %r11
                                               0x41, 0xff, 0xd3,                       // call *%r11
                                               0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0,  // lea 128(%rsp), %rsp
                                               0x4d, 0x85, 0xdb,                       // test %r11, %r11
                                               0x75, 0x02,                             // jnz: it has been made
                                               0x0f, 0x05,                             // syscall
                                               0,    0,    0,    0,    0,    0,        // the program's own comparison
                                               0xe9, 0,    0,    0,    0};             // jmp behind it
  constexpr std::uint64_t entry = INSIDE_ENTRY;
  std::memcpy(&code[7], &entry, sizeof entry);
  std::ranges::copy(site->comparison, code.begin() + stub_call_end);
  const auto back = static_cast<std::uint32_t>(begin + call_bytes + comparison_bytes - (site->stub + stub_bytes));
  std::memcpy(&code[stub_bytes - 4], &back, sizeof back);
  if (!write_memory(pid, site->stub, code)) return false;
  site->changed = now;
  if (alone) {
    site->stage = Stage::done;
    return write_memory(pid, begin, site->jump);
  }
  site->stage = Stage::int3;
  constexpr std::array<std::uint8_t, 1> trap = {int3};
  return write_memory(pid, begin + call_bytes, trap) && write_memory(pid, begin, trap);
}

bool InsideCode::withdraw(pid_t pid) {
  for (const Site& site : sites_) {
    std::array<std::uint8_t, call_bytes + comparison_bytes> own = {0x0f, 0x05};  // syscall
    std::ranges::copy(site.comparison, own.begin() + call_bytes);
    if (!write_memory(pid, site.address, own)) return false;
  }
  return true;
}

void InsideCode::go_on(pid_t pid, base::WallTime now) {
  for (Site& site : sites_) {
    if (site.stage == Stage::done || now - site.changed < pause_between_stages) continue;
    site.changed = now;
    const std::span<const std::uint8_t> jump = site.jump;
    if (site.stage == Stage::int3) {
      if (write_memory(pid, site.address + 1, jump.subspan(1))) site.stage = Stage::body;
    } else if (write_memory(pid, site.address, jump.first(1))) {
      site.stage = Stage::done;
    }
  }
}

std::uint64_t InsideCode::own_address(std::uint64_t address) const {
  if (stubs_ == 0 || address < stubs_ || address >= stubs_ + stub_area_bytes) return address;
  for (const Site& site : sites_)
    if (site.stub <= address && address < site.stub + stub_bytes) return site.address + call_bytes;
  return address;
}

std::optional<std::uint64_t> InsideCode::after_trap(std::uint64_t address) const {
  if (stubs_ != 0 && address == INSIDE_COPY) return INSIDE_COPIED;
  for (const Site& site : sites_) {
    if (address == site.address + 1) return site.stub;
    if (address == site.address + call_bytes + 1) return site.stub + stub_call_end;
  }
  return std::nullopt;
}

ThreadRegisters InsideCode::outside(const ThreadRegisters& inside, const Pushed& pushed, std::uint64_t frame,
                                    std::uint64_t address) {
  constexpr std::uint64_t red_zone = 128;
  const inside_frame& own = pushed.own;
  ThreadRegisters made = inside;
  user_regs_struct& r = made.raw;
  r.r15 = own.r15, r.r14 = own.r14, r.r13 = own.r13, r.r12 = own.r12, r.rbx = own.rbx, r.rbp = own.rbp;
  r.r9 = own.r9, r.r8 = own.r8, r.r10 = own.r10, r.rdx = own.rdx, r.rsi = own.rsi, r.rdi = own.rdi;
  r.rsp = frame + sizeof pushed + red_zone;
  r.rip = r.rcx = address;  // `syscall` leaves it in both
  return made;
}

void InsideCode::refuse_call(ThreadRegisters& registers, int error) {
  registers.raw.orig_rax = ~0ULL;
  registers.raw.rax = static_cast<std::uint64_t>(-static_cast<std::int64_t>(error));
}

bool InsideCode::use_table(pid_t pid, std::optional<std::uint32_t> table) {
  const __u32 number = table.value_or(INSIDE_NO_TABLE);
  return write_memory(pid, INSIDE_PRIVATE + offsetof(inside_private, table), bytes_of(number));
}

}  // namespace tcpwhy::trace
