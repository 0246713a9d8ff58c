# The Debian packages, one a component, by CPack; scripts/package runs it.
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/changelog line LIMIT_COUNT 1)
if(NOT line MATCHES "^moonlatch \\(${PROJECT_VERSION}\\) ")
  message(FATAL_ERROR "scripts/packaging/changelog does not begin with ${PROJECT_VERSION}")
endif()
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/changelog line REGEX "^ -- " LIMIT_COUNT 1)
string(REGEX REPLACE "^ -- (.*>).*" "\\1" CPACK_DEBIAN_PACKAGE_MAINTAINER "${line}")

set(CPACK_GENERATOR DEB)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
  GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_BINARY_DIR}/lib)

add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/changelog.gz
  COMMAND ${ML_GZIP} -9nc ${CMAKE_CURRENT_LIST_DIR}/changelog > ${CMAKE_BINARY_DIR}/changelog.gz
  DEPENDS ${CMAKE_CURRENT_LIST_DIR}/changelog VERBATIM)
add_custom_target(changelog ALL DEPENDS ${CMAKE_BINARY_DIR}/changelog.gz)

# package(COMPONENT NAME SECTION TITLE TEXT [DEPENDENCY...])
macro(package component name section title text)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${title}\n${text}")
  string(JOIN ", " CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS ${ARGN})
  list(APPEND CPACK_COMPONENTS_ALL ${component})
  install(FILES ${CMAKE_CURRENT_LIST_DIR}/copyright ${CMAKE_BINARY_DIR}/changelog.gz
    COMPONENT ${component} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name})
endmacro()

set(about "moonlatch answers names with secrets.  A policy, a file in Lua, decides which
vault is asked, for which secret, and what is tried next.")
set(same "libmoonlatch0 (= ${PROJECT_VERSION})")
package(library libmoonlatch0 libs "secrets resolver with policies in Lua" "${about}
.
This is the shared library.")
package(development libmoonlatch-dev libdevel
  "secrets resolver with policies in Lua - development files" "${about}
.
These are the header, the archive, the manual of the functions, examples, and
what pkg-config and CMake want to know."
  ${same} liblua5.4-dev libcurl4-openssl-dev libssl-dev)
package(program moonlatch utils "secrets resolver with policies in Lua - program" "${about}
.
This is the program: it asks for secrets and stores them, explains and tests
policies, and has a local Key Vault for development in it.")
package(module lua-moonlatch interpreters
  "secrets resolver with policies in Lua - module for Lua 5.4" "${about}
.
This is the module moonlatch for stock Lua 5.4."
  ${same})
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_MODULE_PACKAGE_RECOMMENDS lua5.4)

# Which package a program needs that was linked with the library; and the library's place
# in the cache of ld.so, without a script.
file(WRITE ${CMAKE_BINARY_DIR}/shlibs "libmoonlatch 0 libmoonlatch0 (>= ${PROJECT_VERSION})\n")
file(WRITE ${CMAKE_BINARY_DIR}/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${CMAKE_BINARY_DIR}/shlibs
  ${CMAKE_BINARY_DIR}/triggers)

include(CPack)
