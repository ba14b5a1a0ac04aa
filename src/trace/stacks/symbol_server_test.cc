// Programs made to harm who reads their debug information. Whatever they do, the tracer goes on, soon, and says what it does not know.
#include "trace/stacks/symbol_server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "trace/stacks/stopped_program_testing.h"
#include "trace/stacks/symbol_messages.h"
#include "trace/stacks/unwinder.h"

namespace tcpwhy::trace {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

std::string original() { return std::string(TCPWHY_TEST_PROGRAMS) + "/deep_close_program"; }

class HostileProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(folder_);
    fs::copy_file(original(), program_);
    began_ = std::chrono::steady_clock::now();
  }
  void TearDown() override {
    EXPECT_LT(std::chrono::steady_clock::now() - began_, 15s);  // alone it takes a tenth of a second
    fs::remove_all(folder_);
  }

  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << bytes;
  }
  // Changes the program by objcopy(1).
  [[nodiscard]] bool change(const std::string& how) const {
    const std::string command = "cd " + folder_ + " && objcopy " + how + " program 2>objcopy.log";
    return std::system(command.c_str()) == 0;
  }
  // Learns the program while it lives, kills it, unwinds.
  std::string stack_of(StoppedProgram& stopped, Unwinder& unwinder) const {
    const pid_t pid = stopped.pid();
    unwinder.learn(pid, stopped.registers.instruction_pointer());
    stopped.kill_it();
    return text(unwinder.unwind(pid, stopped.registers, stopped.stack, stopped.registers.stack_pointer()));
  }

  const std::string folder_ = ::testing::TempDir() + "hostile_program_" + std::to_string(::getpid());
  const std::string program_ = folder_ + "/program";
  std::chrono::steady_clock::time_point began_;
};

template <class T>
std::string as_bytes(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// DWARF 4: a compile unit over all addresses, and in it a block in a block in a block, each over all addresses too.
std::string nested_blocks(std::size_t depth) {
  const std::string everywhere = as_bytes<std::uint64_t>(0) + as_bytes<std::uint32_t>(0x7fffffff);
  std::string unit = as_bytes<std::uint16_t>(4) + as_bytes<std::uint32_t>(0) + '\x08' + '\x01' + everywhere;
  for (std::size_t i = 0; i < depth; ++i) unit += '\x02' + everywhere;
  unit += std::string(depth + 1, '\0');
  return as_bytes(static_cast<std::uint32_t>(unit.size())) + unit;
}
// 1: DW_TAG_compile_unit, 2: DW_TAG_lexical_block, both with children, DW_AT_low_pc (addr) and DW_AT_high_pc (data4).
const std::string abbreviations("\x01\x11\x01\x11\x01\x12\x06\0\0\x02\x0b\x01\x11\x01\x12\x06\0\0\0", 19);

TEST_F(HostileProgram, hundreds_of_thousands_of_blocks_in_one_another_end_their_reader_and_nobody_else) {
  write("info", nested_blocks(300'000));
  write("abbrev", abbreviations);
  if (!change("--update-section .debug_info=info --update-section .debug_abbrev=abbrev"))
    GTEST_SKIP() << "no objcopy(1)";
  StoppedProgram stopped(program_, {});
  ASSERT_TRUE(stopped.stopped);
  Unwinder unwinder;
  const std::string stack = stack_of(stopped, unwinder);
  EXPECT_THAT(stack, HasSubstr("program+0x")) << "its file, and where";
  const auto unread = unwinder.take_unread();
  ASSERT_EQ(unread.size(), 1U) << stack;
  EXPECT_EQ(unread[0].path, program_);
  EXPECT_TRUE(unwinder.take_unread().empty()) << "told once";

  StoppedProgram sound(original(), {});
  ASSERT_TRUE(sound.stopped);
  EXPECT_THAT(stack_of(sound, unwinder), StartsWith("shop::hang_up(char volatile*, int) deep_close_program.cc:"))
      << "the others are read by the next server";
}

// Of the sections that libdw would follow, ".gnu_debuglink" names a file: a name, padding, a checksum.
std::string debug_link(const std::string& name) { return name + std::string(4 - name.size() % 4, '\0') + "CRC!"; }

TEST_F(HostileProgram, a_debug_link_is_not_followed) {
  const std::string up = "../../../../../../../../../../../..";
  for (const std::string& name : {std::string("fifo"), up + "/dev/zero", up + folder_ + "/fifo"}) {
    write("link", debug_link(name));
    ASSERT_EQ(fs::copy_file(original(), program_, fs::copy_options::overwrite_existing), true);
    if (!change("--strip-debug --add-section .gnu_debuglink=link")) GTEST_SKIP() << "no objcopy(1)";
    ::mkfifo((folder_ + "/fifo").c_str(), 0600);
    StoppedProgram stopped(program_, {});
    ASSERT_TRUE(stopped.stopped);
    Unwinder unwinder;
    EXPECT_THAT(stack_of(stopped, unwinder), StartsWith("shop::hang_up(char volatile*, int)+0x")) << name;
    EXPECT_TRUE(unwinder.take_unread().empty()) << name;
  }
}

TEST_F(HostileProgram, what_stands_at_its_path_now_is_not_opened) {
  const std::string deleted = program_ + " (deleted)";
  StoppedProgram stopped(program_, {});
  ASSERT_TRUE(stopped.stopped);
  fs::remove(program_);
  ASSERT_EQ(::mkfifo(deleted.c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo(program_.c_str(), 0600), 0);
  Unwinder unwinder;
  const std::string stack = stack_of(stopped, unwinder);
  // Through /proc/PID/map_files, where we may, the program itself is still to be had.
  EXPECT_TRUE(stack.starts_with("shop::hang_up") || stack.starts_with("0x")) << stack;
}

TEST_F(HostileProgram, a_link_at_its_path_is_not_followed) {
  StoppedProgram stopped(program_, {});
  ASSERT_TRUE(stopped.stopped);
  const auto mappings = code_mappings(stopped.pid());
  const auto own = std::ranges::find(mappings, program_, &Mapping::path);
  ASSERT_NE(own, mappings.end());
  EXPECT_NE(own->inode, 0U);
  MappedFiles files;
  Mapping told = *own;
  told.length = 0;  // not through map_files
  const pid_t gone = 1 << 30;
  EXPECT_TRUE(files.open(told, gone));
  fs::rename(program_, folder_ + "/elsewhere");
  fs::create_symlink("elsewhere", program_);
  EXPECT_FALSE(MappedFiles().open(told, gone)) << "though it leads to the very file";
  fs::remove(program_);
  fs::copy_file(folder_ + "/elsewhere", program_);
  EXPECT_FALSE(MappedFiles().open(told, gone)) << "the same bytes in another file";
}

TEST_F(HostileProgram, a_file_that_is_shortened_while_it_is_read_ends_its_reader_only) {
  StoppedProgram stopped(program_, {});
  ASSERT_TRUE(stopped.stopped);
  const pid_t pid = stopped.pid();
  Unwinder unwinder;
  EXPECT_THAT(stack_of(stopped, unwinder), HasSubstr("hang_up"));
  fs::resize_file(program_, 100);
  // At other addresses, of which nothing has been read yet.
  for (std::uint64_t i = 0; i < 4096; i += 64) {
    Registers registers = stopped.registers;
    registers.dwarf[MACHINE_DWARF_INSTRUCTION_POINTER] += i;
    EXPECT_FALSE(unwinder.unwind(pid, registers, stopped.stack, registers.stack_pointer()).empty());
  }
  EXPECT_EQ(unwinder.take_unread().size(), 1U) << "SIGBUS";
}

TEST_F(HostileProgram, cut_and_changed_anywhere_it_does_no_harm) {
  StoppedProgram stopped(program_, {});
  ASSERT_TRUE(stopped.stopped);
  const auto mappings = code_mappings(stopped.pid());
  stopped.kill_it();
  std::ifstream file(original(), std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), {}};
  Unwinder unwinder;
  for (std::size_t round = 0; round < 30; ++round) {
    std::string bytes = whole;
    for (std::size_t at = round * 7 % 64; at < bytes.size(); at += 97 + round * 13)
      bytes[at] = static_cast<char>(static_cast<std::size_t>(bytes[at]) * 31 + round);
    bytes.resize(bytes.size() - round * bytes.size() / 40);
    const std::string name = "changed" + std::to_string(round);
    write(name, bytes);
    const pid_t pid = (1 << 29) + static_cast<pid_t>(round);
    for (Mapping mapping : mappings) {
      if (mapping.path == program_) mapping.path = folder_ + "/" + name, mapping.inode = mapping.file_bytes = 0;
      unwinder.learn_mapping(pid, std::move(mapping));
    }
    EXPECT_FALSE(unwinder.unwind(pid, stopped.registers, stopped.stack, stopped.registers.stack_pointer()).empty());
  }
}

TEST(SymbolMessages, neither_a_lie_about_a_length_nor_silence_is_waited_for) {
  symbols::Reader reader({});
  EXPECT_FALSE(reader.take<std::uint32_t>());
  EXPECT_FALSE(reader.take_text(1));
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  base::UniqueFd one(ends[0]), other(ends[1]);
  const auto soon = std::chrono::steady_clock::now() + 20ms;
  EXPECT_FALSE(symbols::receive_message(one.get(), symbols::WithDescriptors::no, soon));
  const std::vector<std::byte> message(60'000);
  bool taken = true;
  for (int i = 0; i < 1000 && taken; ++i)
    taken = symbols::send_message(one.get(), message, -1, std::chrono::steady_clock::now() + 20ms);
  EXPECT_FALSE(taken) << "nobody reads";
  other.reset();
  EXPECT_FALSE(symbols::send_message(one.get(), message)) << "and no SIGPIPE";
}

}  // namespace
}  // namespace tcpwhy::trace
