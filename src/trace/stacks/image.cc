#include "trace/stacks/image.h"

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "base/unique_fd.h"

namespace tcpwhy::trace {
namespace {

constexpr std::size_t most_name = 160;            // bytes of a function's name
constexpr std::size_t most_known_frames = 65536;  // addresses remembered of an image
constexpr std::uint64_t stack_limit = 8U << 20;   // how far above the copy a stack may reach

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, Free> readable(abi::__cxa_demangle(name, nullptr, nullptr, &status));
  std::string text = status == 0 && readable ? readable.get() : name;
  if (text.size() > most_name) text = text.substr(0, most_name) + "...";
  return text;
}

std::string base_name(const char* path) {
  const std::string_view whole = path;
  return std::string(whole.substr(whole.rfind('/') + 1));  // npos + 1 is 0
}

std::string name_of(Dwarf_Die* die) {
  Dwarf_Attribute attribute;
  for (const unsigned kind : {unsigned{DW_AT_linkage_name}, unsigned{DW_AT_MIPS_linkage_name}})
    if (const char* name = dwarf_formstring(dwarf_attr_integrate(die, kind, &attribute))) return demangled(name);
  const char* name = dwarf_diename(die);
  return name == nullptr ? std::string() : demangled(name);
}

// Where the call stands that was inlined as `die`.
void set_call_place(Dwarf_Die* unit, Dwarf_Die* die, Frame& frame) {
  Dwarf_Attribute attribute;
  Dwarf_Word line = 0, file = 0;
  frame.file.clear();
  frame.line = 0;
  if (dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &line) == 0) frame.line = static_cast<int>(line);
  Dwarf_Files* files = nullptr;
  std::size_t count = 0;
  if (dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &file) != 0 ||
      dwarf_getsrcfiles(unit, &files, &count) != 0)
    return;
  if (const char* path = dwarf_filesrc(files, file, nullptr, nullptr)) frame.file = base_name(path);
}

// The scopes around `address`, innermost first, as they are nested in the machine code (eu-addr2line -i does the same).
std::vector<Dwarf_Die> scopes_at(Dwfl_Module* module, Dwarf_Die* unit, Dwarf_Addr address) {
  Dwarf_Die* found = nullptr;
  if (dwarf_getscopes(unit, address, &found) <= 0) return {};
  std::unique_ptr<Dwarf_Die, Free> scopes(found);
  Dwarf_Addr bias = 0;
  Dwarf* dwarf = dwfl_module_getdwarf(module, &bias);
  Dwarf_Die innermost;
  if (dwarf == nullptr || dwarf_offdie(dwarf, dwarf_dieoffset(&scopes.get()[0]), &innermost) == nullptr) return {};
  Dwarf_Die* nested = nullptr;
  const int count = dwarf_getscopes_die(&innermost, &nested);
  if (count <= 0) return {};
  scopes.reset(nested);
  return {nested, nested + count};
}

}  // namespace

bool is_c_library(std::string_view path) {
  constexpr std::string_view beginnings[] = {"libc.so", "libc-",     "libpthread", "ld-linux",
                                             "ld-musl", "libc.musl", "[vdso"};
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return std::ranges::any_of(beginnings, [name](std::string_view beginning) { return name.starts_with(beginning); });
}

struct DwflCallbacksOfImage {
  static int find_elf(Dwfl_Module* module, void** user, const char* name, Dwarf_Addr base, char** file, Elf** elf) {
    // As the process sees the file system, which may not be how we do (containers).
    if (name[0] == '/' && open_image_ != nullptr) {
      const std::string path = fmt::format("/proc/{}/root{}", open_image_->opened_for_, name);
      if (const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC); fd >= 0) {
        *file = ::strdup(name);
        return fd;
      }
    }
    return dwfl_linux_proc_find_elf(module, user, name, base, file, elf);
  }

  // Its own frames are left out or need no lines, and unpacking what Debian ships for it takes 50 ms.
  static int find_debuginfo(Dwfl_Module* module, void** user, const char* name, Dwarf_Addr base, const char* file,
                            const char* link, GElf_Word checksum, char** found) {
    if (is_c_library(name)) return -1;
    return dwfl_standard_find_debuginfo(module, user, name, base, file, link, checksum, found);
  }

  // One thread, the one whose registers and stack are at hand.
  static pid_t next_thread(Dwfl*, void* image, void** thread) {
    if (*thread != nullptr) return 0;
    *thread = image;
    return static_cast<Image*>(image)->current_.pid;
  }
  static bool get_thread(Dwfl*, pid_t, void* image, void** thread) {
    *thread = image;
    return true;
  }
  static bool set_registers(Dwfl_Thread* thread, void* image) {
    const auto& registers = static_cast<Image*>(image)->current_.registers->dwarf;
    std::array<Dwarf_Word, std::tuple_size_v<std::remove_cvref_t<decltype(registers)>>> words;
    std::ranges::copy(registers, words.begin());
    return dwfl_thread_state_registers(thread, 0, words.size(), words.data());
  }
  static bool read_memory(Dwfl*, Dwarf_Addr address, Dwarf_Word* result, void* image) {
    const Image::Stack& stack = static_cast<Image*>(image)->current_;
    if (address >= stack.address && address - stack.address + sizeof *result <= stack.bytes.size()) {
      std::memcpy(result, stack.bytes.data() + (address - stack.address), sizeof *result);
      return true;
    }
    // The rest of the stack has changed since it was copied: better no frames than wrong ones.
    if (address >= stack.address && address - stack.address < stack_limit) return false;
    const iovec local{result, sizeof *result};
    // NOLINTNEXTLINE(performance-no-int-to-ptr): an address of another process
    const iovec remote{reinterpret_cast<void*>(address), sizeof *result};
    return ::process_vm_readv(stack.pid, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(sizeof *result);
  }

  struct Walk {
    std::vector<Image::Step> steps;
    std::size_t most;
  };
  static int take_frame(Dwfl_Frame* state, void* argument) {
    auto& walk = *static_cast<Walk*>(argument);
    Dwarf_Addr pc = 0;
    bool is_activation = false;
    if (!dwfl_frame_pc(state, &pc, &is_activation)) return DWARF_CB_ABORT;
    walk.steps.push_back({pc, is_activation});
    return walk.steps.size() < walk.most ? DWARF_CB_OK : DWARF_CB_ABORT;
  }

  static thread_local Image* open_image_;  // whose files are being opened: find_elf() isn't told
};

thread_local Image* DwflCallbacksOfImage::open_image_ = nullptr;

namespace {

// libdwfl keeps pointers to these.
char* debug_path = nullptr;
const Dwfl_Callbacks callbacks{DwflCallbacksOfImage::find_elf, DwflCallbacksOfImage::find_debuginfo, nullptr,
                               &debug_path};
const Dwfl_Thread_Callbacks thread_callbacks{DwflCallbacksOfImage::next_thread,
                                             DwflCallbacksOfImage::get_thread,
                                             DwflCallbacksOfImage::read_memory,
                                             DwflCallbacksOfImage::set_registers,
                                             nullptr,
                                             nullptr};

// Opened now: once the process is gone, so may be the way to the file.
int open_module(Dwfl_Module* module, void**, const char*, Dwarf_Addr, void*) {
  GElf_Addr bias = 0;
  dwfl_module_getelf(module, &bias);
  return DWARF_CB_OK;
}

struct EndElf {
  void operator()(Elf* elf) const { elf_end(elf); }
};

// How a file is laid out in memory, as far as it tells the place of its code.
struct Layout {
  struct Segment {
    std::uint64_t address = 0, offset = 0, length = 0;
  };
  std::vector<Segment> code;
  std::string interpreter;
};

Layout layout_of(int fd) {
  Layout layout;
  elf_version(EV_CURRENT);
  const std::unique_ptr<Elf, EndElf> elf(elf_begin(fd, ELF_C_READ, nullptr));
  std::size_t count = 0;
  if (!elf || elf_getphdrnum(elf.get(), &count) != 0) return layout;
  for (int i = 0; i < static_cast<int>(count); ++i) {
    GElf_Phdr header;
    if (gelf_getphdr(elf.get(), i, &header) == nullptr) continue;
    if (header.p_type == PT_LOAD && (header.p_flags & PF_X) != 0)
      layout.code.push_back({header.p_vaddr, header.p_offset, header.p_filesz});
    if (header.p_type == PT_INTERP && header.p_filesz > 1 && header.p_filesz < 4096) {
      layout.interpreter.resize(header.p_filesz - 1);
      if (::pread(fd, layout.interpreter.data(), layout.interpreter.size(), static_cast<off_t>(header.p_offset)) !=
          static_cast<ssize_t>(layout.interpreter.size()))
        layout.interpreter.clear();
    }
  }
  return layout;
}

// What is added to the addresses in the file. Nothing: it is not what was mapped.
std::optional<std::uint64_t> bias_of(const Mapping& mapping, const Layout& layout) {
  if (mapping.is_program)
    return layout.code.empty() ? std::nullopt : std::optional(mapping.start - layout.code.front().address);
  for (const Layout::Segment& segment : layout.code) {
    // Mapped in whole pages; the address lies in its page where the offset lies in its.
    const std::uint64_t end = mapping.offset + mapping.length;
    if (segment.offset + segment.length <= mapping.offset || segment.offset >= end) continue;
    return mapping.start - mapping.offset + segment.offset - segment.address;
  }
  return std::nullopt;
}

base::UniqueFd open_mapped(const std::string& path, std::uint64_t file_bytes, pid_t pid) {
  for (const std::string& name : {fmt::format("/proc/{}/root{}", pid, path), path}) {
    base::UniqueFd fd(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status{};
    if (!fd.valid() || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    if (file_bytes == 0 || static_cast<std::uint64_t>(status.st_size) == file_bytes) return fd;
  }
  return {};
}

void report_file(Dwfl* dwfl, const std::string& path, base::UniqueFd fd, std::uint64_t bias) {
  // It keeps the descriptor.
  if (dwfl_report_elf(dwfl, path.c_str(), path.c_str(), fd.get(), bias, true) != nullptr) [[maybe_unused]]
    const int kept = fd.release();
}

}  // namespace

std::shared_ptr<Image> Image::of(std::span<const Mapping> mappings, pid_t pid) {
  std::shared_ptr<Image> image(new Image);
  return image->report(mappings, pid) ? image : nullptr;
}

bool Image::report(std::span<const Mapping> mappings, pid_t pid) {
  dwfl_ = dwfl_begin(&callbacks);
  if (dwfl_ == nullptr) return false;
  dwfl_report_begin(dwfl_);
  for (const Mapping& mapping : mappings) {
    base::UniqueFd fd = open_mapped(mapping.path, mapping.file_bytes, pid);
    if (!fd.valid()) continue;
    const Layout layout = layout_of(fd.get());
    const auto bias = bias_of(mapping, layout);
    if (!bias) continue;
    report_file(dwfl_, mapping.path, std::move(fd), *bias);
    if (mapping.interpreter == 0 || layout.interpreter.empty()) continue;
    if (base::UniqueFd linker = open_mapped(layout.interpreter, 0, pid); linker.valid())
      report_file(dwfl_, layout.interpreter, std::move(linker), mapping.interpreter);
  }
  return dwfl_report_end(dwfl_, nullptr, nullptr) == 0;
}

std::shared_ptr<Image> Image::of(pid_t pid) {
  std::shared_ptr<Image> image(new Image);
  return image->report(pid) ? image : nullptr;
}

bool Image::report(pid_t pid) {
  dwfl_ = dwfl_begin(&callbacks);
  if (dwfl_ == nullptr) return false;
  opened_for_ = pid;
  DwflCallbacksOfImage::open_image_ = this;
  dwfl_report_begin(dwfl_);
  const bool read = dwfl_linux_proc_report(dwfl_, pid) == 0;
  const bool ended = dwfl_report_end(dwfl_, nullptr, nullptr) == 0;
  if (read && ended) dwfl_getmodules(dwfl_, open_module, nullptr, 0);
  DwflCallbacksOfImage::open_image_ = nullptr;
  return read && ended;
}

Image::~Image() {
  if (dwfl_ != nullptr) dwfl_end(dwfl_);
}

bool Image::holds(std::uint64_t address) const { return dwfl_addrmodule(dwfl_, address) != nullptr; }

std::vector<Image::Step> Image::walk(const Stack& stack, std::size_t most) {
  current_ = stack;
  // The pid is but a name here: everything comes from the callbacks.
  if (!attached_) attached_ = dwfl_attach_state(dwfl_, nullptr, stack.pid, &thread_callbacks, this);
  DwflCallbacksOfImage::Walk walk{{}, most};
  if (attached_) dwfl_getthread_frames(dwfl_, stack.pid, DwflCallbacksOfImage::take_frame, &walk);
  if (walk.steps.empty()) walk.steps.push_back({stack.registers->instruction_pointer(), true});
  current_ = {};
  return std::move(walk.steps);
}

const std::vector<Frame>& Image::frames_at(const Step& step) {
  // A return address may be the first of another function: the call stands before it.
  const Dwarf_Addr pc = step.is_activation ? step.address : step.address - 1;
  if (const auto known = known_frames_.find(pc); known != known_frames_.end()) return known->second;
  if (known_frames_.size() >= most_known_frames) known_frames_.clear();
  std::vector<Frame>& frames = known_frames_[pc];

  Frame frame{.address = step.address};
  Dwfl_Module* module = dwfl_addrmodule(dwfl_, pc);
  if (module == nullptr) {
    frames.push_back(std::move(frame));
    return frames;
  }
  Dwarf_Addr start = 0;
  if (const char* path = dwfl_module_info(module, nullptr, &start, nullptr, nullptr, nullptr, nullptr, nullptr))
    frame.module = path;
  frame.offset = step.address - start;
  GElf_Off offset = 0;
  GElf_Sym symbol;
  if (const char* name = dwfl_module_addrinfo(module, pc, &offset, &symbol, nullptr, nullptr, nullptr)) {
    frame.function = demangled(name);
    frame.offset = offset + (step.address - pc);
  }
  if (Dwfl_Line* line = dwfl_module_getsrc(module, pc)) {
    int number = 0;
    if (const char* path = dwfl_lineinfo(line, nullptr, &number, nullptr, nullptr, nullptr)) {
      frame.file = base_name(path);
      frame.line = number;
    }
  }

  Dwarf_Addr bias = 0;
  if (Dwarf_Die* unit = dwfl_module_addrdie(module, pc, &bias)) {
    for (Dwarf_Die& scope : scopes_at(module, unit, pc - bias)) {
      const int tag = dwarf_tag(&scope);
      if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) continue;
      if (std::string name = name_of(&scope); !name.empty()) frame.function = std::move(name);
      if (tag == DW_TAG_subprogram) break;
      frames.push_back(frame);
      set_call_place(unit, &scope, frame);
    }
  }
  frames.push_back(std::move(frame));
  return frames;
}

}  // namespace tcpwhy::trace
