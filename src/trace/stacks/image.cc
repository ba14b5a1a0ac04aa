#include "trace/stacks/image.h"

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
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
// libdwfl asks for a name of the file; what has one of its own is not looked at.
constexpr const char* debug_file_name = "debug";

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

std::string demangled(const char* name) {
  // Others are a C function's own name: __cxa_demangle() takes "i" for a type, int.
  int status = -1;
  const std::unique_ptr<char, Free> readable(
      std::string_view(name).starts_with("_Z") ? abi::__cxa_demangle(name, nullptr, nullptr, &status) : nullptr);
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

struct DwflCallbacksOfImage {
  // All are reported with their files.
  static int find_elf(Dwfl_Module*, void**, const char*, Dwarf_Addr, char**, Elf**) { return -1; }

  // By build id alone, and by somebody else, who has a right to open files: a name or a path in the file is its author's choice.
  // The C library's own frames are left out or need no lines, and unpacking what Debian ships for it takes 50 ms.
  static int find_debuginfo(Dwfl_Module* module, void** user, const char* name, Dwarf_Addr, const char*, const char*,
                            GElf_Word, char** found) {
    Image* const image = image_of(module);
    if (image == nullptr || user == nullptr || is_c_library(name)) return -1;
    const unsigned char* bits = nullptr;
    GElf_Addr address = 0;
    const int length = dwfl_module_build_id(module, &bits, &address);
    if (length <= 0) return -1;
    base::UniqueFd fd = image->helpers_.find_debug_file({bits, static_cast<std::size_t>(length)});
    if (!fd.valid()) return -1;
    *found = ::strdup(debug_file_name);
    return fd.release();
  }
  static thread_local Image* current_image_;  // libdwfl does not tell whose module it is
  static Image* image_of(Dwfl_Module*) { return current_image_; }

  // One thread, the one whose registers and stack are at hand.
  static pid_t next_thread(Dwfl*, void* image, void** thread) {
    if (*thread != nullptr) return 0;
    *thread = image;
    return only_thread;
  }
  static bool get_thread(Dwfl*, pid_t, void* image, void** thread) {
    *thread = image;
    return true;
  }
  static bool set_registers(Dwfl_Thread* thread, void* image) {
    const auto& registers = static_cast<Image*>(image)->current_.registers->dwarf;
    std::array<Dwarf_Word, std::tuple_size_v<std::remove_cvref_t<decltype(registers)>>> words;
    std::ranges::copy(registers, words.begin());
    if (!dwfl_thread_state_registers(thread, 0, words.size(), words.data())) return false;
    // Of some machines the return address' column isn't where the thread is (arm64: it is x30).
    dwfl_thread_state_register_pc(thread, words[MACHINE_DWARF_INSTRUCTION_POINTER]);
    return true;
  }
  static bool read_memory(Dwfl*, Dwarf_Addr address, Dwarf_Word* result, void* image) {
    const Image::Stack& stack = static_cast<Image*>(image)->current_;
    const std::size_t size = stack.bytes.size();
    if (size >= sizeof *result && address >= stack.address && address - stack.address <= size - sizeof *result) {
      std::memcpy(result, stack.bytes.data() + (address - stack.address), sizeof *result);
      return true;
    }
    // What is not in the copy has changed since: better no frames than wrong ones.
    return false;
  }

  struct Walk {
    Image& image;
    std::vector<Image::Step> steps;
    std::size_t most;
  };
  static int take_frame(Dwfl_Frame* state, void* argument) {
    auto& walk = *static_cast<Walk*>(argument);
    Dwarf_Addr pc = 0;
    bool is_activation = false;
    if (!dwfl_frame_pc(state, &pc, &is_activation)) return DWARF_CB_ABORT;
    walk.steps.push_back({pc, is_activation});
    walk.image.tell_reading(is_activation ? pc : pc - 1);  // to unwind it
    return walk.steps.size() < walk.most ? DWARF_CB_OK : DWARF_CB_ABORT;
  }

  static constexpr pid_t only_thread = 1;
};

thread_local Image* DwflCallbacksOfImage::current_image_ = nullptr;

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

void report_file(Dwfl* dwfl, const Image::File& file, base::UniqueFd fd, std::uint64_t bias) {
  const char* const path = file.mapping.path.c_str();
  Dwfl_Module* const module = dwfl_report_elf(dwfl, path, path, fd.get(), bias, true);
  if (module == nullptr) return;
  [[maybe_unused]] const int kept = fd.release();  // by it
  void** user = nullptr;
  dwfl_module_info(module, &user, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a number where libdwfl has room for a pointer; null is no number
  if (user != nullptr) *user = reinterpret_cast<void*>(static_cast<std::intptr_t>(file.index) + 1);
}

std::int32_t index_of(Dwfl_Module* module) {
  void** user = nullptr;
  dwfl_module_info(module, &user, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
  return user == nullptr ? -1 : static_cast<std::int32_t>(reinterpret_cast<std::intptr_t>(*user) - 1);
}

}  // namespace

std::unique_ptr<Image> Image::of(std::vector<File> files, Helpers helpers) {
  std::unique_ptr<Image> image(new Image);
  image->helpers_ = std::move(helpers);
  return image->report(std::move(files)) ? std::move(image) : nullptr;
}

bool Image::report(std::vector<File> files) {
  dwfl_ = dwfl_begin(&callbacks);
  if (dwfl_ == nullptr) return false;
  dwfl_report_begin(dwfl_);
  std::string interpreter;  // of the program met last
  for (File& file : files) {
    helpers_.reading(file.index);
    if (file.is_loader) {
      if (file.mapping.path == interpreter) report_file(dwfl_, file, std::move(file.fd), file.mapping.interpreter);
      continue;
    }
    Layout layout = layout_of(file.fd.get());
    if (file.mapping.is_program) interpreter = std::move(layout.interpreter);
    if (const auto bias = bias_of(file.mapping, layout)) report_file(dwfl_, file, std::move(file.fd), *bias);
  }
  return dwfl_report_end(dwfl_, nullptr, nullptr) == 0;
}

Image::~Image() {
  if (dwfl_ != nullptr) dwfl_end(dwfl_);
  for (Dwarf* alternate : alternates_) dwarf_end(alternate);
}

void Image::tell_reading(std::uint64_t address) {
  if (Dwfl_Module* module = dwfl_addrmodule(dwfl_, address)) helpers_.reading(index_of(module));
}

// Debug information that dwz(1) has moved to a file of several: by build id too. Else libdw looks for it by the path that it names,
// and may not.
void Image::link_alternate(Dwarf* dwarf) {
  if (!linked_.insert(dwarf).second) return;
  const char* path = nullptr;
  const void* build_id = nullptr;
  const ssize_t length = dwelf_dwarf_gnu_debugaltlink(dwarf, &path, &build_id);
  if (length <= 0) return;
  base::UniqueFd fd =
      helpers_.find_debug_file({static_cast<const std::uint8_t*>(build_id), static_cast<std::size_t>(length)});
  Dwarf* const alternate = fd.valid() ? dwarf_begin(fd.get(), DWARF_C_READ) : nullptr;
  if (alternate == nullptr) return;
  dwarf_setalt(dwarf, alternate);
  alternates_.push_back(alternate);
}

std::vector<Image::Step> Image::walk(const Stack& stack, std::size_t most) {
  current_ = stack;
  DwflCallbacksOfImage::current_image_ = this;
  constexpr pid_t pid = DwflCallbacksOfImage::only_thread;
  if (!attached_) attached_ = dwfl_attach_state(dwfl_, nullptr, pid, &thread_callbacks, this);
  DwflCallbacksOfImage::Walk walk{*this, {}, most};
  if (attached_) dwfl_getthread_frames(dwfl_, pid, DwflCallbacksOfImage::take_frame, &walk);
  if (walk.steps.empty()) walk.steps.push_back({stack.registers->instruction_pointer(), true});
  current_ = {};
  return std::move(walk.steps);
}

const std::vector<Image::PlacedFrame>& Image::frames_at(const Step& step) {
  // A return address may be the first of another function: the call stands before it.
  const Dwarf_Addr pc = step.is_activation ? step.address : step.address - 1;
  if (const auto known = known_frames_.find(pc); known != known_frames_.end()) return known->second;
  if (known_frames_.size() >= most_known_frames) known_frames_.clear();
  std::vector<PlacedFrame>& frames = known_frames_[pc];

  DwflCallbacksOfImage::current_image_ = this;
  PlacedFrame placed{.frame = {.address = step.address}};
  Frame& frame = placed.frame;
  Dwfl_Module* module = dwfl_addrmodule(dwfl_, pc);
  if (module == nullptr) {
    frames.push_back(std::move(placed));
    return frames;
  }
  placed.module = index_of(module);
  helpers_.reading(placed.module);
  Dwarf_Addr start = 0;
  dwfl_module_info(module, nullptr, &start, nullptr, nullptr, nullptr, nullptr, nullptr);
  frame.offset = step.address - start;
  GElf_Off offset = 0;
  GElf_Sym symbol;
  if (const char* name = dwfl_module_addrinfo(module, pc, &offset, &symbol, nullptr, nullptr, nullptr)) {
    frame.function = demangled(name);
    frame.offset = offset + (step.address - pc);
  }
  Dwarf_Addr bias = 0;
  if (Dwarf* dwarf = dwfl_module_getdwarf(module, &bias)) link_alternate(dwarf);
  if (Dwfl_Line* line = dwfl_module_getsrc(module, pc)) {
    int number = 0;
    if (const char* path = dwfl_lineinfo(line, nullptr, &number, nullptr, nullptr, nullptr)) {
      frame.file = base_name(path);
      frame.line = number;
    }
  }

  if (Dwarf_Die* unit = dwfl_module_addrdie(module, pc, &bias)) {
    for (Dwarf_Die& scope : scopes_at(module, unit, pc - bias)) {
      const int tag = dwarf_tag(&scope);
      if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) continue;
      if (std::string name = name_of(&scope); !name.empty()) frame.function = std::move(name);
      if (tag == DW_TAG_subprogram) break;
      frames.push_back(placed);
      set_call_place(unit, &scope, frame);
    }
  }
  frames.push_back(std::move(placed));
  return frames;
}

}  // namespace tcpwhy::trace
