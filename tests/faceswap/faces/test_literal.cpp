#include <gtest/gtest.h>

#include "faceswap/faces/literal.h"
#include "tests/faceswap/kind_of.h"

namespace faceswap {
namespace {

using kernels::Error;
using kernels::ErrorKind;
using nlohmann::json;

TEST(Literal, ReadsPythonAndJson) {
  EXPECT_EQ(parse_literal("{'a': [1, -2.5, 1e3,], \"b\": (True, False, None), 'c': {}}"),
            json::parse(R"({"a":[1,-2.5,1000.0],"b":[true,false,null],"c":{}})"));
  const char* text = R"( {"a" : [true, null, "\u00fc \ud83d\ude00 \/"], "b" : {"c" : 1}} )";
  EXPECT_EQ(parse_literal(text), json::parse(text));
  EXPECT_EQ(parse_literal(R"('it\'s \x41\n\\ "quoted" ü')"), "it's A\n\\ \"quoted\" ü");
  EXPECT_EQ(parse_literal(R"(b'x\x9c\x00\'a')"), json::binary({'x', 0x9c, 0, '\'', 'a'}));
  EXPECT_EQ(parse_literal("{1: 'one'}"), json::parse(R"({"1":"one"})"));
  EXPECT_EQ(parse_literal("9223372036854775807"), 9223372036854775807);
  EXPECT_EQ(parse_literal("()"), json::array());
}

TEST(Literal, RefusesAllElse) {
  for (const char* text : {"",
                           "x",
                           "__import__('os')",
                           "f()",
                           "[1",
                           "[1 2]",
                           "{'a'}",
                           "{'a': }",
                           "{[]: 1}",
                           "'open",
                           "'\\q'",
                           "'\\x4'",
                           "'\\ud800'",
                           "'\\U00110000'",
                           "1.2.3",
                           "nan",
                           "1e999",
                           "--1",
                           "[] []",
                           "True1",
                           "array([1])",
                           "1 + 1",
                           "{**{}}",
                           "lambda: 1",
                           "b'\\u0041'",
                           "'\\",
                           "[,]"})
    EXPECT_EQ(kind_of([&] { parse_literal(text); }), ErrorKind::damaged) << text;
  EXPECT_EQ(kind_of([] { parse_literal(std::string(100000, '[')); }), ErrorKind::damaged);
}
}  // namespace
}  // namespace faceswap
