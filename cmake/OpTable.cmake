# The table of operations: every api/ops/X.c declares `const struct op op_X`; the sorted registry is generated from the file
# names, so that adding an operation touches one file.
file(GLOB OP_SOURCES CONFIGURE_DEPENDS api/ops/*.c)
list(SORT OP_SOURCES)
set(OP_EXTERNS "")
set(OP_ROWS "")
foreach(source ${OP_SOURCES})
  get_filename_component(stem ${source} NAME_WE)
  string(APPEND OP_EXTERNS "extern const struct op op_${stem};\n")
  string(APPEND OP_ROWS "    &op_${stem},\n")
endforeach()
if(OP_SOURCES)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/api/op_table.c @ONLY CONTENT [[
/* Generated from the files in api/ops/. */
#include "api/op.h"

@OP_EXTERNS@
const struct op *const op_table[] = {
@OP_ROWS@};
const size_t op_table_len = sizeof(op_table) / sizeof(op_table[0]);
]])
  list(APPEND HOUSE_GENERATED_api ${OP_SOURCES} ${CMAKE_BINARY_DIR}/generated/api/op_table.c)
endif()
