// The stack of a program built with -O2 -g -fomit-frame-pointer, stopped as it enters close(9999); unwound after it was killed.
#include "trace/stacks/unwinder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "trace/stacks/stopped_program_testing.h"

namespace tcpwhy::trace {
namespace {

std::string program() { return std::string(TCPWHY_TEST_PROGRAMS) + "/deep_close_program"; }

// "deep_close_program.cc:23", the line that ends with `// mark:NAME`.
std::string place(const std::string& mark) {
  std::ifstream source(std::string(TCPWHY_SOURCE_DIR) + "/src/trace/stacks/testing/deep_close_program.cc");
  std::string line;
  for (int number = 1; std::getline(source, line); ++number)
    if (line.ends_with("// mark:" + mark)) return "deep_close_program.cc:" + std::to_string(number);
  return "no mark " + mark;
}

std::string stack_of(StoppedProgram& stopped) {
  Unwinder unwinder;
  const pid_t pid = stopped.pid();
  unwinder.learn(pid, stopped.registers.instruction_pointer());
  stopped.kill_it();
  return text(unwinder.unwind(pid, stopped.registers, stopped.stack, stopped.registers.stack_pointer()));
}

TEST(UnwinderTest, functions_and_lines_without_frame_pointers_after_the_process_is_gone) {
  StoppedProgram stopped(program(), {});
  ASSERT_TRUE(stopped.stopped);
  const std::string serve = "shop::serve(int, int) ";
  EXPECT_EQ(stack_of(stopped), "shop::hang_up(char volatile*, int) " + place("hang_up") +
                                   " < shop::finish(shop::Buffer&, int) " + place("finish") + " < " + serve +
                                   place("serve") + " < " + serve + place("recursion") + " < " + serve +
                                   place("recursion") + " < main " + place("main"));
}

TEST(UnwinderTest, mappings_that_were_told_do_as_well_and_a_fork_has_them_too) {
  StoppedProgram stopped(program(), {});
  ASSERT_TRUE(stopped.stopped);
  const pid_t pid = stopped.pid(), child = 1 << 30;
  Unwinder unwinder;
  for (Mapping& mapping : code_mappings(pid)) unwinder.learn_mapping(pid, std::move(mapping));
  unwinder.learn_fork(pid, child);
  const std::string learnt = stack_of(stopped);  // and it is gone
  const auto told = [&](pid_t whose) {
    return text(unwinder.unwind(whose, stopped.registers, stopped.stack, stopped.registers.stack_pointer()));
  };
  EXPECT_THAT(learnt, ::testing::HasSubstr("main " + place("main")));
  EXPECT_EQ(told(pid), learnt);
  EXPECT_EQ(told(child), learnt);
  unwinder.forget(pid);
  EXPECT_TRUE(told(pid).starts_with("0x")) << told(pid);
  EXPECT_EQ(told(child), learnt);
}

TEST(UnwinderTest, a_file_that_was_replaced_since_names_nothing) {
  StoppedProgram stopped(program(), {});
  ASSERT_TRUE(stopped.stopped);
  Unwinder unwinder;
  for (Mapping& mapping : code_mappings(stopped.pid())) {
    if (mapping.path.ends_with("deep_close_program")) mapping.file_bytes += 1;
    unwinder.learn_mapping(stopped.pid(), std::move(mapping));
  }
  const auto frames =
      unwinder.unwind(stopped.pid(), stopped.registers, stopped.stack, stopped.registers.stack_pointer());
  EXPECT_EQ(text(frames).find("hang_up"), std::string::npos) << text(frames);
}

TEST(UnwinderTest, a_thread_begins_where_its_own_function_does) {
  StoppedProgram stopped(program(), {"thread"});
  ASSERT_TRUE(stopped.stopped);
  EXPECT_NE(stopped.thread, stopped.pid());
  const std::string stack = stack_of(stopped);
  EXPECT_TRUE(stack.ends_with(" < worker " + place("worker"))) << stack;
}

TEST(UnwinderTest, frames_of_the_library_in_between_stay) {
  StoppedProgram stopped(program(), {"callback"});
  ASSERT_TRUE(stopped.stopped);
  const std::string stack = stack_of(stopped);
  EXPECT_THAT(stack, ::testing::HasSubstr("compare " + place("compare")));
  EXPECT_TRUE(stack.ends_with(" < main " + place("qsort"))) << stack;
}

TEST(UnwinderTest, a_stripped_program_has_offsets_and_the_names_it_exports) {
  const std::string stripped = ::testing::TempDir() + "deep_close_stripped";
  std::filesystem::copy_file(program(), stripped, std::filesystem::copy_options::overwrite_existing);
  if (std::system(("strip " + stripped).c_str()) != 0) GTEST_SKIP() << "no strip(1)";
  StoppedProgram stopped(stripped, {});
  ASSERT_TRUE(stopped.stopped);
  const std::string stack = stack_of(stopped);
  EXPECT_TRUE(stack.starts_with("deep_close_stripped+0x")) << stack;
  EXPECT_GE(std::ranges::count(stack, '<'), 4) << "unwound by .eh_frame all the same: " << stack;
  std::filesystem::remove(stripped);
}

TEST(UnwinderTest, a_short_copy_of_the_stack_ends_the_walk) {
  StoppedProgram stopped(program(), {});
  ASSERT_TRUE(stopped.stopped);
  stopped.stack.resize(1024);
  const std::string stack = stack_of(stopped);
  EXPECT_TRUE(stack.starts_with("shop::hang_up(char volatile*, int) ")) << stack;
  EXPECT_EQ(stack.find("main"), std::string::npos) << stack;
}

TEST(UnwinderTest, garbage_is_one_frame_or_few_and_no_crash) {
  StoppedProgram stopped(program(), {});
  ASSERT_TRUE(stopped.stopped);
  Unwinder unwinder;
  unwinder.learn(stopped.pid(), stopped.registers.instruction_pointer());
  for (std::size_t i = 0; i < 200; ++i) {
    std::vector<std::uint8_t> bytes = stopped.stack;
    for (std::size_t at = i % 8; at < bytes.size(); at += 8) bytes[at] = static_cast<std::uint8_t>(at * 31 + i);
    Registers registers = stopped.registers;
    if (i % 3 == 0) registers.dwarf[MACHINE_DWARF_INSTRUCTION_POINTER] += i * 4097;
    EXPECT_LE(unwinder.unwind(stopped.pid(), registers, bytes, registers.stack_pointer()).size(), 32U);
  }
}

TEST(UnwinderTest, a_process_that_nobody_learnt_is_an_address) {
  Unwinder unwinder;
  Registers registers;
  registers.dwarf[MACHINE_DWARF_INSTRUCTION_POINTER] = 0x1234;
  EXPECT_EQ(text(unwinder.unwind(1, registers, {}, 0)), "0x1234");
  unwinder.learn(-5, 0x1234);  // no such process
  EXPECT_EQ(text(unwinder.unwind(-5, registers, {}, 0)), "0x1234");
}

}  // namespace
}  // namespace tcpwhy::trace
