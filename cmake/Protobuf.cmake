# house_protobuf(folder file.proto ...): C sources from schemas, as generated/<folder>/<name>.pb-c.{c,h}, added to the folder's
# library through HOUSE_GENERATED_<folder>. They are compiled without our warnings.
find_program(PROTOC_C protoc-c REQUIRED)
function(house_protobuf folder)
  set(generated)
  foreach(schema ${ARGN})
    if(NOT EXISTS ${CMAKE_SOURCE_DIR}/${schema})
      continue()
    endif()
    string(REPLACE ".proto" ".pb-c" stem ${schema})
    set(out ${CMAKE_BINARY_DIR}/generated/${stem})
    file(GLOB imports ${CMAKE_SOURCE_DIR}/*/*.proto)
    add_custom_command(
      OUTPUT ${out}.c ${out}.h
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/generated/${folder}
      COMMAND ${PROTOC_C} --proto_path=${CMAKE_SOURCE_DIR} --c_out=${CMAKE_BINARY_DIR}/generated ${CMAKE_SOURCE_DIR}/${schema}
      DEPENDS ${imports}
      VERBATIM)
    set_source_files_properties(${out}.c PROPERTIES COMPILE_OPTIONS "-w")
    list(APPEND generated ${out}.c ${out}.h)
  endforeach()
  set(HOUSE_GENERATED_${folder} ${generated} PARENT_SCOPE)
endfunction()
